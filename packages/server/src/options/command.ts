/** What a command line needs of the door: apart from the servers, which take a while to load. */
export { readSecretFile, TOKEN_VARIABLE } from "../auth/access.ts";
export { newApiKey, parseKeyFile } from "../auth/api-keys.ts";
export { addDoorFlags, doorArguments, type DoorFlags } from "./server-flags.ts";
