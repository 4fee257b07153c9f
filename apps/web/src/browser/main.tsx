/** Where the page begins. */
import "./no-eval.ts";
import { render } from "preact";

import { PageState } from "./page-state.ts";
import { Page } from "./page.tsx";
import "./styles/base.css";
import "./styles/page.css";
import "./styles/composer.css";
import "./styles/conversation.css";

const state = new PageState();
const root = document.getElementById("page");
if (root) render(<Page state={state} />, root);
state.start();
