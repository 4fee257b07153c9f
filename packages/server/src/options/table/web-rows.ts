/** Declares the page server's own options. */
import type { OptionRows } from "./option-row.ts";
import { text } from "./value-readers.ts";

export const WEB_ROWS = {
  conversationLog: {
    flags: "--conversation-log <folder>",
    help: "write down what people ask and get, with their images, in files of LLaVA's format; tell them so",
    reader: text,
    programs: { web: {}, serve: { passedTo: ["web"] } },
  },
  shortenAddresses: {
    flags: "--shorten-addresses",
    help: "write only the network of a client's address there: 24 bits of IPv4, 48 of IPv6",
    programs: { web: {}, serve: { passedTo: ["web"] } },
  },
  pageFolder: {
    flags: "--page-folder <folder>",
    help: "where the built page lies, if not with this program",
    reader: text,
    programs: { web: {}, serve: { passedTo: ["web"] } },
  },
} as const satisfies OptionRows;
