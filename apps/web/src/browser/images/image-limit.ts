/** Of `CHAT_LIMITS` in @llava/protocol, which a page does not load; a test holds them equal. */
export const MAX_CHAT_IMAGES = 8;
