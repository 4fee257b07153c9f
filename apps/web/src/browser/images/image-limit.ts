/** Of `CHAT_LIMITS` in @llava/protocol, which a page does not load; a test holds them equal. */
export const CHAT_PICTURES = 8;
