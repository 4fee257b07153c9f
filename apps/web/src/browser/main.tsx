/** Starts the page. */
import { render } from "preact";

import { App } from "./state/app.ts";
import { Page } from "./features/shell/page.tsx";
import "./styles/base.css";
import "./styles/page.css";
import "./styles/sidebar.css";
import "./styles/composer.css";
import "./styles/conversation.css";
import "./styles/markdown.css";
import { followTheme } from "./ui/theme.ts";

followTheme();
const app = new App();
const root = document.getElementById("page");
if (root) render(<Page app={app} />, root);
void app.start();
