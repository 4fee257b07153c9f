/**
 * Imported before everything else: tells zod not to try whether it may compile schemas to code. It may not, here, and
 * the attempt alone would be a report of a violated content policy.
 */
Object.assign(globalThis, { __zod_globalConfig: { jitless: true } });
