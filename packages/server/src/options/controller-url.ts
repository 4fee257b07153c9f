/** Names the address at which every program looks for its controller when no flag names another. */
export const LOOPBACK_CONTROLLER = "http://127.0.0.1:10000";
