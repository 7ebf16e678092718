// Player and sortable tables. Text from disk enters the page through textContent only.
"use strict";

const SYNC_SECONDS = 0.06; // a viewer notices lips that lag the sound by more
const ALL = "all emotions";

function element(name, properties = {}, children = []) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
}

function blobUrl(dataUri) {
  const [head, body] = dataUri.split(",");
  const bytes = Uint8Array.from(atob(body), (character) => character.charCodeAt(0));
  return URL.createObjectURL(new Blob([bytes], { type: head.slice(5).split(";")[0] }));
}

class Player {
  constructor(root) {
    this.data = JSON.parse(root.querySelector(".player-data").textContent);
    this.emotion = ALL;
    this.videos = [];
    this.urls = [];
    this.sound = 0;
    this.playing = false;
    this.line = element("p", { className: "line" });
    this.stage = element("div", { className: "scroll" });
    this.toolbar = this.buildToolbar();
    this.transport = this.buildTransport();
    root.append(this.toolbar, this.line, element("div", { className: "stage" }, [this.stage, this.transport]));
    root.addEventListener("keydown", (event) => this.onKey(event));
    this.fillChoice();
  }

  buildToolbar() {
    const emotions = [...new Set(this.data.clips.map((clip) => clip.emotion).filter(Boolean))].sort();
    this.chips = [ALL, ...emotions].map((name) =>
      element("button", { type: "button", textContent: name, onclick: () => this.filter(name) }));
    this.choice = element("select", { ariaLabel: "Clip", onchange: () => this.show(this.choice.value) });
    const step = (text, label, amount) =>
      element("button", { type: "button", textContent: text, ariaLabel: label, onclick: () => this.move(amount) });
    return element("div", { className: "toolbar" }, [
      element("div", { className: "chips" }, emotions.length > 1 ? this.chips : []),
      element("div", { className: "clip-choice" }, [step("‹", "Previous clip", -1), this.choice, step("›", "Next clip", 1)]),
    ]);
  }

  buildTransport() {
    this.button = element("button", { type: "button", className: "play", textContent: "Play", onclick: () => this.toggle() });
    this.scrub = element("input", { type: "range", min: 0, max: 1, step: "any", value: 0, ariaLabel: "Position" });
    this.scrub.oninput = () => this.seek(Number(this.scrub.value));
    this.time = element("span", { className: "time" });
    this.soundChoice = element("select", { ariaLabel: "Sound from", onchange: () => this.listen(Number(this.soundChoice.value)) });
    this.rate = element("select", { ariaLabel: "Speed", onchange: () => this.setRate() },
      [1, 0.5, 0.25].map((rate) => element("option", { value: rate, textContent: `${rate}×` })));
    this.loop = element("input", { type: "checkbox", checked: true });
    return element("div", { className: "transport" }, [
      this.button, this.scrub, this.time,
      element("label", {}, ["sound", this.soundChoice]),
      element("label", {}, ["speed", this.rate]),
      element("label", {}, [this.loop, "loop"]),
    ]);
  }

  filter(emotion) {
    this.emotion = emotion;
    this.fillChoice();
  }

  fillChoice() {
    for (const chip of this.chips) chip.ariaPressed = String(chip.textContent === this.emotion);
    const clips = this.data.clips.filter((clip) => this.emotion === ALL || clip.emotion === this.emotion);
    this.choice.replaceChildren(...clips.map((clip) =>
      element("option", { value: clip.id, textContent: clip.embedded ? clip.id : `${clip.id} (scores only)` })));
    const first = clips.find((clip) => clip.embedded) ?? clips[0];
    if (first) this.show(first.id);
  }

  move(amount) {
    const count = this.choice.options.length;
    this.choice.selectedIndex = (this.choice.selectedIndex + amount + count) % count;
    this.show(this.choice.value);
  }

  show(id) {
    const clip = this.data.clips.find((candidate) => candidate.id === id);
    this.choice.value = id;
    this.setPlaying(false);
    this.urls.splice(0).forEach((url) => URL.revokeObjectURL(url));
    const tags = [clip.emotion, clip.intensity ? `level ${clip.intensity}` : "", clip.subject].filter(Boolean).join(" · ");
    this.line.replaceChildren(clip.transcript ? `“${clip.transcript}”` : clip.id, element("small", { textContent: tags }));
    const heads = this.data.takes.map((take, index) => this.head(take, clip.media[index]));
    this.stage.replaceChildren(element("table", {}, [
      element("colgroup", {}, [element("col", { className: "name" }), ...heads.map(() => element("col"))]),
      element("thead", {}, [element("tr", {}, [element("td"), ...heads])]),
      element("tbody", {}, this.data.metrics.map((metric) => this.scoreRow(metric, clip)).filter(Boolean)),
    ]));
    const narrow = this.stage.clientWidth < 640;
    this.stage.firstChild.style.minWidth = `${(narrow ? 106 : 136) + heads.length * (narrow ? 132 : 112)}px`;
    this.videos = [...this.stage.querySelectorAll("video")];
    this.transport.hidden = this.videos.length === 0;
    this.fillSound();
    this.setRate();
    for (const video of this.videos) {
      video.onloadedmetadata = () => this.tick();
      video.onended = () => this.onEnded(video);
    }
    this.tick();
  }

  head(take, media) {
    const words = { missing: "no preview on disk", "left out": "preview left out of this page" };
    let picture;
    if (media in words) {
      picture = element("div", { className: "blank", textContent: words[media] });
    } else {
      const url = blobUrl(media);
      this.urls.push(url);
      picture = element("video", { src: url, muted: true, playsInline: true, preload: "auto", ariaLabel: take.label });
      picture.dataset.label = take.label;
      picture.onclick = () => this.toggle();
    }
    const head = element("th", { className: take.reference ? "truth" : "", scope: "col" }, [picture, take.label]);
    if (take.note) head.append(element("small", { textContent: take.note }));
    return head;
  }

  scoreRow(metric, clip) {
    const cells = clip.scores.map((scores) => scores[metric.name]);
    if (!cells.some(Boolean)) return null;
    const ranked = cells.map((cell, index) => (cell && this.data.takes[index].ranked ? cell[1] : null));
    const values = ranked.filter((value) => value !== null);
    const best = metric.higher ? Math.max(...values) : Math.min(...values);
    const distinct = new Set(values).size > 1;
    return element("tr", {}, [
      element("th", { scope: "row", textContent: `${metric.name} ${metric.arrow}`, title: metric.unit ? `in ${metric.unit}` : metric.name }),
      ...cells.map((cell, index) => element("td", {
        textContent: cell ? cell[0] : "–",
        title: cell ? cell[2] : "not measured for this clip",
        className: distinct && ranked[index] === best ? "best" : "",
      })),
    ]);
  }

  fillSound() {
    const chosen = this.soundChoice.selectedOptions[0]?.textContent;
    this.soundChoice.replaceChildren(
      ...this.videos.map((video, index) => element("option", { value: index, textContent: video.dataset.label })),
      element("option", { value: -1, textContent: "none" }));
    const again = [...this.soundChoice.options].findIndex((option) => option.textContent === chosen);
    this.soundChoice.selectedIndex = Math.max(again, 0);
    this.listen(Number(this.soundChoice.value));
  }

  listen(index) {
    this.sound = index;
    this.videos.forEach((video, position) => { video.muted = position !== index; });
  }

  get leader() {
    return this.videos[this.sound] ?? this.videos[0];
  }

  setRate() {
    for (const video of this.videos) video.playbackRate = Number(this.rate.value);
  }

  seek(seconds) {
    for (const video of this.videos) video.currentTime = Math.min(seconds, video.duration || seconds);
    this.tick();
  }

  toggle() {
    if (!this.leader) return;
    if (!this.playing && this.leader.ended) this.seek(0);
    this.setPlaying(!this.playing);
  }

  setPlaying(playing) {
    this.playing = playing;
    this.button.textContent = playing ? "Pause" : "Play";
    for (const video of this.videos) {
      if (!playing) video.pause();
      else video.play().catch(() => { video.muted = true; }); // a browser may refuse sound before a click
    }
    if (playing) this.follow();
  }

  follow() {
    if (!this.playing) return;
    const now = this.leader.currentTime;
    for (const video of this.videos) {
      const lag = Math.abs(video.currentTime - now);
      if (video !== this.leader && !video.seeking && !video.ended && lag > SYNC_SECONDS) video.currentTime = now;
    }
    this.tick();
    requestAnimationFrame(() => this.follow());
  }

  onEnded(video) {
    if (video !== this.leader || !this.playing) return;
    if (!this.loop.checked) return this.setPlaying(false);
    this.seek(0);
    this.setPlaying(true);
  }

  tick() {
    const total = this.leader?.duration || 0;
    const now = this.leader?.currentTime || 0;
    this.scrub.max = total || 1;
    this.scrub.value = now;
    this.time.textContent = `${now.toFixed(2)} / ${total.toFixed(2)} s`;
  }

  onKey(event) {
    if (event.target.closest("select, button, input")) return;
    if (event.key === " ") this.toggle();
    else if (event.key === "ArrowRight") this.move(1);
    else if (event.key === "ArrowLeft") this.move(-1);
    else return;
    event.preventDefault();
  }
}

function sortBy(table, index, heading) {
  const wasSorted = heading.ariaSort;
  const bestFirst = heading.dataset.higher === "1" ? "descending" : "ascending";
  const other = bestFirst === "descending" ? "ascending" : "descending";
  const order = wasSorted === bestFirst ? other : bestFirst;
  for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  for (const body of table.tBodies) {
    const rows = [...body.rows].filter((row) => !row.classList.contains("rule"));
    const value = (row) => Number(row.cells[index].dataset.sort?.replace("inf", "Infinity") ?? NaN);
    rows.sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
      return x === y ? 0 : sign * (x < y ? -1 : 1);
    });
    body.append(...rows);
  }
}

for (const table of document.querySelectorAll("table.scores")) {
  [...table.tHead.rows[0].cells].forEach((heading, index) => {
    heading.querySelector("button")?.addEventListener("click", () => sortBy(table, index, heading));
  });
}
for (const root of document.querySelectorAll(".player")) new Player(root);
