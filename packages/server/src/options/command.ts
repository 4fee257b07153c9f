/** Exports what a command line needs without loading the servers, which takes a while. */
export { readSecretFile, TOKEN_VARIABLE } from "../auth/access.ts";
export { newApiKey, parseKeyFile } from "../auth/api-keys.ts";
export { addOptions, defaultOf, namesOf, withDashes } from "./add-options.ts";
export { LOOPBACK_CONTROLLER } from "./table/address-rows.ts";
export { APPS, PROGRAMS, type AppName, type OptionRow, type ProgramName } from "./table/option-row.ts";
export { ENVIRONMENT, OPTION_ROWS, type OptionsOf } from "./table/option-table.ts";
export { WATCH_S } from "./table/terminal-rows.ts";
