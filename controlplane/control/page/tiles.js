// Places tiles: a large one for the speaker (or the presentation) with small ones below, or equal tiles for a few people.
// Pure geometry plus the elements; who stands where is the server's decision.
import { t } from './i18n.js';

const gap = 8;

export class Tiles {
  constructor(root, count) {
    this.root = root;
    this.slots = Array.from({ length: count }, () => this.#element());
    this.presentation = this.#element('fit');
    this.self = this.#element('mirror');
    this.alone = document.createElement('div');
    this.alone.className = 'alone';
    root.append(this.alone);
    new ResizeObserver(() => this.place()).observe(root);
  }

  #element(...classes) {
    const el = document.createElement('div');
    el.className = ['tile', ...classes].join(' ');
    el.hidden = true;
    el.innerHTML = '<video autoplay playsinline muted></video><div class="avatar"><span></span></div><div class="name"><svg hidden><use href="#i-mic-off"/></svg><b></b></div>';
    this.root.append(el);
    const video = el.querySelector('video');
    const seen = () => el.classList.toggle('picture', video.videoWidth > 0 && !el.dataset.noPicture);
    for (const event of ['resize', 'loadeddata', 'playing', 'emptied']) video.addEventListener(event, seen);
    return el;
  }

  static label(el, { name = '', muted = false, speaking = false, picture = true }) {
    el.querySelector('b').textContent = name;
    el.querySelector('.name').hidden = !name;
    el.querySelector('.name svg').toggleAttribute('hidden', !muted);
    el.querySelector('.avatar span').textContent = initials(name);
    el.classList.toggle('speaking', speaking);
    if (picture) delete el.dataset.noPicture; else el.dataset.noPicture = '1';
    const video = el.querySelector('video');
    el.classList.toggle('picture', picture && video.videoWidth > 0);
  }

  static attach(el, track) {
    const video = el.querySelector('video');
    if (video.srcObject?.getTracks()[0] === track) return;
    video.srcObject = track ? new MediaStream([track]) : null;
    video.play?.().catch(() => {});
  }

  // `model`: {seats: [person|null], presentation: person|null, self: person}. Returns the sizes for the server, slot by slot.
  show(model) {
    this.model = model;
    this.slots.forEach((el, i) => {
      const person = model.seats[i];
      el.hidden = !person;
      if (person) Tiles.label(el, person);
    });
    this.presentation.hidden = !model.presentation;
    if (model.presentation) Tiles.label(this.presentation, { name: t('presentationOf', { name: model.presentation.name }) });
    this.self.hidden = !model.self;
    if (model.self) Tiles.label(this.self, model.self);
    this.place();
  }

  place() {
    if (!this.model) return;
    const { clientWidth: w, clientHeight: h } = this.root;
    if (!w || !h) return;
    const others = this.slots.filter((el) => !el.hidden);
    const people = [...others, ...(this.self.hidden ? [] : [this.self])];
    this.alone.hidden = others.length > 0 || !this.presentation.hidden;
    if (!this.presentation.hidden) this.#mainAnd(this.presentation, people, w, h);
    else if (others.length === 1) this.#pair(others[0], w, h);
    else if (people.length <= 4) this.#grid(people, w, h);
    else this.#mainAnd(others[0], people.filter((el) => el !== others[0]), w, h);
    this.onsizes?.(this.sizes());
  }

  // Two people: the other one fills the room, we stand in the corner.
  #pair(other, w, h) {
    put(other, 0, 0, w, h);
    const sw = Math.max(110, Math.min(w * 0.22, 260)), sh = sw * 9 / 16;
    put(this.self, w - sw - 12, h - sh - 12, sw, sh);
    this.self.style.zIndex = 2;
  }

  #grid(list, w, h) {
    this.self.style.zIndex = '';
    let best = { size: 0, cols: 1 };
    for (let cols = 1; cols <= list.length; cols++) {
      const rows = Math.ceil(list.length / cols);
      const tw = Math.min((w - gap * (cols - 1)) / cols, ((h - gap * (rows - 1)) / rows) * 16 / 9);
      if (tw > best.size) best = { size: tw, cols };
    }
    const tw = best.size, th = tw * 9 / 16, rows = Math.ceil(list.length / best.cols);
    list.forEach((el, i) => {
      const row = Math.floor(i / best.cols), inRow = Math.min(best.cols, list.length - row * best.cols);
      const left = (w - inRow * tw - (inRow - 1) * gap) / 2 + (i % best.cols) * (tw + gap);
      put(el, left, (h - rows * th - (rows - 1) * gap) / 2 + row * (th + gap), tw, th);
    });
  }

  #mainAnd(main, rest, w, h) {
    this.self.style.zIndex = '';
    const n = Math.max(rest.length, 1), portrait = h > w;
    const perRow = portrait ? 3 : Math.max(5, Math.min(n, 8));
    const rows = rest.length ? Math.ceil(n / perRow) : 0;
    const tw = Math.min((w - gap * (perRow - 1)) / perRow, 260), th = tw * 9 / 16;
    const strip = rows * (th + gap);
    put(main, 0, 0, w, Math.max(h - strip, 60));
    rest.forEach((el, i) => {
      const row = Math.floor(i / perRow), inRow = Math.min(perRow, rest.length - row * perRow);
      const left = (w - inRow * tw - (inRow - 1) * gap) / 2 + (i % perRow) * (tw + gap);
      put(el, left, h - strip + gap + row * (th + gap), tw, th);
    });
  }

  // Physical pixels of every slot, then of the presentation. A tile that is empty is wanted small: it appears when somebody
  // is seated in it, and tells its real size then.
  sizes() {
    const scale = Math.min(window.devicePixelRatio || 1, 2);
    return [...this.slots, this.presentation].map((el) => el.hidden ? { width: 320, height: 180 }
      : { width: Math.round(el.offsetWidth * scale) & ~1, height: Math.round(el.offsetHeight * scale) & ~1 });
  }
}

function put(el, left, top, width, height) {
  Object.assign(el.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
}

function initials(name) {
  const words = name.trim().split(/\s+/);
  const first = [...(words[0] ?? '?')][0] ?? '?';
  const last = words.length > 1 ? [...words.at(-1)][0] : '';
  return (first + last).toUpperCase();
}
