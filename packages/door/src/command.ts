/** What a command line needs of the door: apart from the servers, which take a while to load. */
export { readSecretFile, TOKEN_VARIABLE } from "./access.ts";
export { newApiKey, parseKeyFile } from "./api-keys.ts";
export { addDoorFlags, doorArguments, type DoorFlags } from "./flags.ts";
