// The player and its timeline. `element`, `props`, `trigger` and `watch` are Gradio's.
// props.value: null, or {number, src, first, end, from, to}: a video, its span and the part to look at, in seconds.
const find = (name) => element.querySelector(name);
const sources = new Map(); // by the numbers that links have
let playing = null; // the number of the video in the player

const percent = (time) => {
  const { first, end } = props.value;
  return (100 * (time - first)) / Math.max(end - first, 0.001);
};

function load(number) {
  if (playing === number || !sources.has(number)) return;
  playing = number;
  find(".vl3-cannot").hidden = true;
  find("video").hidden = false;
  find("video").src = sources.get(number);
}

function show() {
  const value = props.value;
  find(".vl3-player").hidden = !value;
  if (!value) return;
  sources.set(value.number, value.src);
  load(value.number);
  for (const [name, time] of [[".vl3-from", value.from], [".vl3-to", value.to]]) {
    Object.assign(find(name), { min: value.first, max: value.end });
    find(name).value = time;
  }
  Object.assign(find(".vl3-part").style, {
    left: `${percent(value.from)}%`,
    width: `${percent(value.to) - percent(value.from)}%`,
  });
  const whole = value.from <= value.first && value.to >= value.end;
  find(".vl3-span").textContent = whole
    ? `all of ${(value.end - value.first).toFixed(1)} s`
    : `${value.from.toFixed(1)} to ${value.to.toFixed(1)} s of ${(value.end - value.first).toFixed(1)} s`;
}

function trim(moved) {
  const value = { ...props.value, from: find(".vl3-from").valueAsNumber, to: find(".vl3-to").valueAsNumber };
  if (moved === "from") value.from = Math.min(value.from, value.to - 0.1);
  else value.to = Math.max(value.to, value.from + 0.1);
  value.from = Math.max(value.from, value.first);
  props.value = value;
  show();
  load(value.number);
  find("video").currentTime = value[moved];
}

find(".vl3-from").addEventListener("input", () => trim("from"));
find(".vl3-to").addEventListener("input", () => trim("to"));
find("video").addEventListener("timeupdate", () => {
  if (props.value) find(".vl3-head").style.left = `${Math.min(100, Math.max(0, percent(find("video").currentTime)))}%`;
});
find("video").addEventListener("error", () => {
  find(".vl3-cannot").hidden = false;
  find("video").hidden = true;
});

// a click on a time, in an answer or under a frame, takes the player there
document.addEventListener("click", (event) => {
  const hash = event.target.closest?.("a[href*='#v=']")?.getAttribute("href").split("#")[1];
  if (!hash) return;
  event.preventDefault();
  event.stopPropagation();
  const where = new URLSearchParams(hash);
  const video = find("video");
  const seek = () => {
    video.currentTime = Number(where.get("t"));
    video.scrollIntoView({ block: "nearest", behavior: "smooth" });
  };
  load(Number(where.get("v")));
  if (video.readyState > 0) seek();
  else video.addEventListener("loadedmetadata", seek, { once: true });
}, true);

watch("value", show);
show();
