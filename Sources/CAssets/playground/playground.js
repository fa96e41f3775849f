// Starts both halves of the page, which work independently of each other.

import { startKey } from "./key.js";
import { startScoring } from "./score.js";
import { startSearch } from "./search.js";

// Tells start.js that every module has arrived.
document.documentElement.setAttribute("data-started", "");
startKey();
startSearch();
startScoring();
