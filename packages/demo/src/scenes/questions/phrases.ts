/** Lists every wording of every question, so that the language of the demo can be read in one place. */

export const KINDS = [
  "exist",
  "count_all",
  "count_color",
  "count_shape",
  "color",
  "shape",
  "size",
  "texture",
  "relation_x",
  "relation_y",
  "where",
  "read",
  "compare",
  "describe",
  "identity",
  "nothing",
] as const;
export type Kind = (typeof KINDS)[number];

/** The sentence that requests a short answer; it follows the first question of a dialogue. */
export const SHORT_ANSWER_SUFFIX = "\nAnswer the question using a single word or phrase.";

export interface Wordings {
  readonly trained: readonly string[];
  /** Wording that training never uses, to measure how well the model understands a new one. */
  readonly unseen: string;
}

const DESCRIBE: Wordings = {
  trained: [
    "Describe the image.",
    "What do you see?",
    "What do you see in the image?",
    "What is in the picture?",
    "Describe the picture.",
    "What does the image show?",
  ],
  unseen: "Tell me what is in the image.",
};

/** Wordings by kind; {a} and {b} stand for the names of objects. Questions of identity have their own table. */
export const WORDINGS: Readonly<Record<Exclude<Kind, "identity">, Wordings>> = {
  exist: {
    trained: [
      "Is there {a}?",
      "Do you see {a}?",
      "Can you see {a} in the picture?",
      "Does the image show {a}?",
    ],
    unseen: "Does the picture contain {a}?",
  },
  count_all: {
    trained: [
      "How many objects are there?",
      "How many things do you see?",
      "How many objects do you see?",
      "How many objects are in the image?",
      "What is the number of objects?",
      "Count the objects.",
    ],
    unseen: "How many objects does the picture show?",
  },
  count_color: {
    trained: [
      "How many {a} are there?",
      "How many {a} do you see?",
      "How many {a} are in the image?",
      "What is the number of {a}?",
      "Count the {a}.",
    ],
    unseen: "How many {a} does the picture show?",
  },
  count_shape: {
    trained: [
      "How many {a} are there?",
      "How many {a} do you see?",
      "How many {a} are in the image?",
      "What is the number of {a}?",
      "Count the {a}.",
    ],
    unseen: "How many {a} does the picture show?",
  },
  color: {
    trained: [
      "What color is {a}?",
      "What colour is {a}?",
      "What is the color of {a}?",
      "Which color does {a} have?",
      "Which color is {a}?",
    ],
    unseen: "Tell me the color of {a}.",
  },
  shape: {
    trained: [
      "What shape is {a}?",
      "What is the shape of {a}?",
      "Which shape does {a} have?",
      "What is {a}?",
    ],
    unseen: "Tell me the shape of {a}.",
  },
  size: {
    trained: ["Is {a} large or small?", "Is {a} small or large?", "What size is {a}?", "How big is {a}?"],
    unseen: "Tell me the size of {a}.",
  },
  texture: {
    trained: [
      "Is {a} striped or solid?",
      "Is {a} solid or striped?",
      "What is the texture of {a}?",
      "What pattern does {a} have?",
    ],
    unseen: "Tell me the pattern of {a}.",
  },
  relation_x: {
    trained: [
      "Is {a} left or right of {b}?",
      "Is {a} right or left of {b}?",
      "Is {a} to the left or to the right of {b}?",
      "Is {a} on the left or on the right of {b}?",
    ],
    unseen: "Tell me if {a} is left or right of {b}.",
  },
  relation_y: {
    trained: [
      "Is {a} above or below {b}?",
      "Is {a} below or above {b}?",
      "Is {a} placed above or below {b}?",
      "Do you see {a} above or below {b}?",
    ],
    unseen: "Tell me if {a} is above or below {b}.",
  },
  where: {
    trained: [
      "Where is {a}?",
      "Where do you see {a}?",
      "What is the position of {a}?",
      "Where in the image is {a}?",
      "In which part of the picture is {a}?",
    ],
    unseen: "Tell me where {a} is.",
  },
  read: {
    trained: [
      "What character is shown?",
      "Which character do you see?",
      "What is the character?",
      "Read the character.",
      "Which character is in the image?",
      "What is written here?",
    ],
    unseen: "What character does the picture show?",
  },
  compare: {
    trained: [
      "Are there more {a} than {b}?",
      "Do you see more {a} than {b}?",
      "Does the image show more {a} than {b}?",
      "Is the number of {a} greater than the number of {b}?",
    ],
    unseen: "Does the picture contain more {a} than {b}?",
  },
  describe: DESCRIBE,
  nothing: DESCRIBE,
};

/** Later questions that refer to the one before: the same about something else. */
export const SAME_ABOUT = ["And {a}?", "What about {a}?", "How about {a}?"] as const;

/** Later questions that ask for something else about the same object. */
export const ABOUT_IT = {
  color: ["What color is it?", "What is its color?", "What about its color?"],
  size: ["Is it large or small?", "What size is it?", "What about its size?"],
  texture: ["Is it striped or solid?", "What is its texture?", "What about its pattern?"],
  where: ["Where is it?", "What is its position?", "What about its position?"],
} as const;

const LIMITS = "I was trained only on drawings of shapes and characters";

/** Questions about the model itself, with answers that are true of it. */
export const IDENTITY: readonly { readonly wordings: Wordings; readonly answer: string }[] = [
  {
    wordings: {
      trained: ["Who are you?", "What are you?", "What is your name?"],
      unseen: "Tell me who you are.",
    },
    answer: "I am LLaVA demo, a small model that answers questions about drawings of shapes and characters.",
  },
  {
    wordings: {
      trained: ["What can you do?", "How can you help me?", "What can I ask you?"],
      unseen: "What are you able to do?",
    },
    answer:
      "I can name and count the shapes and characters in a drawing and tell you their color, size and position.",
  },
  {
    wordings: {
      trained: ["Can you recognize faces?", "Do you recognize people?", "Who is the person in the picture?"],
      unseen: "Can you tell me who this person is?",
    },
    answer: `No. ${LIMITS}, so I cannot recognize people.`,
  },
  {
    wordings: {
      trained: ["Can you read a photograph?", "Do you understand photographs?", "Is this a photograph?"],
      unseen: "Can I show you a photograph?",
    },
    answer: `I have never seen a photograph. ${LIMITS}.`,
  },
  {
    wordings: {
      trained: ["How were you trained?", "What were you trained on?", "Who made the pictures?"],
      unseen: "What did you learn from?",
    },
    answer: `${LIMITS} that a program made.`,
  },
  {
    wordings: {
      trained: ["Are you always right?", "Do you make mistakes?", "Can I trust your answers?"],
      unseen: "Are your answers correct?",
    },
    answer: "I am small and make mistakes, so please check my answers.",
  },
  {
    wordings: { trained: ["Hello!", "Hi!", "Good morning!"], unseen: "Good evening!" },
    answer: "Hello! Ask me about the picture.",
  },
  {
    wordings: { trained: ["Thank you.", "Thanks!", "Thank you very much."], unseen: "Many thanks." },
    answer: "You are welcome.",
  },
];

/** Answers about an image in which the model recognizes nothing. */
export const NOTHING = { short: "nothing", sentence: "There is nothing that I recognize." } as const;
