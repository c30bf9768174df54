// Notices that tell of success go by themselves; those that tell of trouble stay until closed.
const notices = document.getElementById("notices");

function withClose(notice) {
  if (notice.querySelector(".close")) return;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "close";
  close.setAttribute("aria-label", "Close");
  close.textContent = "×";
  close.addEventListener("click", () => notice.remove());
  notice.append(close);
  if (notice.classList.contains("good")) setTimeout(() => notice.remove(), 8000);
}

new MutationObserver(() => notices.querySelectorAll(".notice").forEach(withClose)).observe(notices, {
  childList: true,
});

// A request that got no answer at all.
document.addEventListener("htmx:sendError", () => {
  const notice = document.createElement("div");
  notice.className = "notice bad";
  notice.textContent = "The service did not answer. Nothing may have been done; look, and try again.";
  notices.replaceChildren(notice);
});
