/** Uses one core until it is killed. */
process.on("disconnect", () => process.exit(0));

function burn(): void {
  const until = performance.now() + 100;
  while (performance.now() < until);
  setImmediate(burn);
}

burn();
