/**
 * Holds the most images of one chat, which is `CHAT_LIMITS.images` of @llava/protocol, whose schemas the page does not
 * load. A test compares the two.
 */
export const MAX_CHAT_IMAGES = 8;
