// What every page does.
import "./confirm.js";
import "./copy.js";
import "./live.js";
import "./notices.js";
