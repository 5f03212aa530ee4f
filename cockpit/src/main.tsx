import "@patternfly/react-core/dist/styles/base.css";
import "./page.css";
import { createRoot } from "react-dom/client";
import { App } from "./app";
import { followTheme } from "./theme";
import { store } from "./use";

store.start(); // before anything is drawn: its answer takes longest
followTheme();
const place = document.getElementById("page");
if (place) createRoot(place).render(<App />);
// When somebody gains or loses administrative access, Cockpit loads the page again.
cockpit.permission({ admin: true });
