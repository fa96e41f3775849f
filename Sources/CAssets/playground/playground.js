// Starts both halves of the page; each works without the other.

import { startScoring } from "./score.js";
import { startSearch } from "./search.js";

startScoring();
startSearch();
