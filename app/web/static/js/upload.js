// Sends a file as soon as it is chosen, shows how far it is, and goes on to the page about it.
// Without this script the form sends itself, and the browser shows its own progress.
const form = document.getElementById("upload");
const input = document.getElementById("file");
const bar = document.getElementById("upload-bar");
const words = document.getElementById("upload-words");
let request = null;

function size(bytes) {
  for (const unit of ["bytes", "kB", "MB"]) {
    if (bytes < 1000) return `${bytes.toFixed(unit === "bytes" ? 0 : 1)} ${unit}`;
    bytes /= 1000;
  }
  return `${bytes.toFixed(1)} GB`;
}

function show(isSending) {
  document.getElementById("upload-progress").hidden = !isSending;
  document.getElementById("upload-go").hidden = isSending;
  input.disabled = isSending;
}

function refuse(why) {
  show(false);
  document.getElementById("file-error").textContent = why;
  if (why) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
}

function reason(answer) {
  try {
    return JSON.parse(answer.responseText).detail;
  } catch {
    return `The service answered with ${answer.status}. Try again.`;
  }
}

function done() {
  if (request.status !== 201) return refuse(reason(request));
  words.textContent = "Here. Reading its first rows…";
  location.assign(JSON.parse(request.responseText).next);
}

function send() {
  const file = input.files[0];
  if (!file || request?.readyState % 4 > 0) return;
  refuse("");
  if (file.size > Number(form.dataset.most)) {
    return refuse(`This file has ${size(file.size)}; ${size(Number(form.dataset.most))} is the most.`);
  }
  const body = new FormData(form);
  show(true);
  bar.value = 0;
  words.textContent = `Sending ${size(file.size)}…`;
  request = new XMLHttpRequest();
  request.upload.addEventListener("progress", (event) => {
    bar.value = event.loaded / Math.max(event.total, 1);
    words.textContent = `${size(event.loaded)} of ${size(event.total)} sent`;
  });
  request.addEventListener("load", done);
  request.addEventListener("error", () => refuse("The service did not answer. Try again."));
  request.addEventListener("abort", () => refuse("Stopped. Nothing was kept."));
  request.open("POST", form.action);
  request.setRequestHeader("Accept", "application/json");
  request.send(body);
}

form?.addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
input?.addEventListener("change", send);
document.getElementById("upload-stop")?.addEventListener("click", () => request?.abort());
window.addEventListener("pageshow", () => form && show(false));
