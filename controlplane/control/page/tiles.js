// Places tiles: a large one for the speaker (or the presentation) with small ones beside or below it, or equal tiles for a few
// people. Pure geometry plus the elements; who stands where is the server's decision.
import { el, hue, icon, initials, named } from './dom.js';
import { t } from './i18n.js';

const gap = 8;
const wide = 16 / 9;
// A picture fills its tile when this much of it stays visible; else it is shown whole.
const visible = 0.62;

export class Tiles {
  // `mixed`: what fills the room is a picture with tiles of its own.
  constructor(root, alone, count, mixed = false) {
    this.mixed = mixed;
    this.root = root;
    this.alone = alone;
    root.replaceChildren();
    this.slots = Array.from({ length: count }, () => this.#element());
    this.presentation = this.#element('slides');
    this.self = this.#element('mirror');
    this.observer = new ResizeObserver(() => this.place());
    this.observer.observe(root);
  }

  close() {
    this.observer.disconnect();
    this.model = null;
    for (const tile of [...this.slots, this.presentation, this.self]) Tiles.attach(tile, null);
  }

  #element(...classes) {
    const tile = el('div', ['tile', ...classes].join(' '));
    const video = el('video', '');
    Object.assign(video, { autoplay: true, playsInline: true, muted: true });
    const off = icon('mic-off');
    tile.append(video, el('div', 'avatar', el('span', '')), el('div', 'name', off, named('b', '', '')));
    tile.setAttribute('role', 'group');
    tile.hidden = true;
    this.root.append(tile);
    const seen = () => { tile.classList.toggle('picture', video.videoWidth > 0 && !tile.dataset.noPicture); fit(tile); };
    for (const event of ['resize', 'loadeddata', 'playing', 'emptied']) video.addEventListener(event, seen);
    return tile;
  }

  static label(tile, { name = '', about = name, letters = name, uuid = '', muted = false, speaking = false, picture = true }) {
    tile.querySelector('b').textContent = name;
    tile.querySelector('.name').hidden = !name;
    tile.querySelector('.name svg').toggleAttribute('hidden', !muted);
    tile.querySelector('.avatar span').textContent = initials(letters);
    tile.querySelector('.avatar').style.setProperty('--hue', hue(uuid));
    tile.setAttribute('aria-label', muted ? `${about}, ${t('micOff')}` : about);
    tile.classList.toggle('speaking', speaking && !muted);
    if (picture) delete tile.dataset.noPicture; else tile.dataset.noPicture = '1';
    tile.classList.toggle('picture', picture && tile.querySelector('video').videoWidth > 0);
  }

  static attach(tile, track) {
    const video = tile.querySelector('video');
    const now = video.srcObject?.getTracks()[0] ?? null;
    if (now === track) return;
    video.srcObject = track ? new MediaStream([track]) : null;
    if (track) video.play?.().catch(() => {});
  }

  // `model`: {seats: [person|null], presentation: person|null, self: person}.
  show(model) {
    this.model = model;
    this.slots.forEach((tile, i) => {
      const person = model.seats[i];
      tile.hidden = !person;
      if (person) Tiles.label(tile, person);
    });
    this.presentation.hidden = !model.presentation;
    if (model.presentation) Tiles.label(this.presentation, { name: t('presentationOf', { name: model.presentation.name }), uuid: model.presentation.uuid });
    this.self.hidden = !model.self;
    if (model.self) Tiles.label(this.self, model.self);
    this.place();
  }

  place() {
    if (!this.model) return;
    const { clientWidth: w, clientHeight: h } = this.root;
    if (!w || !h) return;
    const others = this.slots.filter((tile) => !tile.hidden);
    const people = [...others, ...(this.self.hidden ? [] : [this.self])];
    this.alone.hidden = others.length > 0 || !this.presentation.hidden;
    this.self.classList.remove('corner');
    if (!this.presentation.hidden) this.#mainAnd(this.presentation, people, w, h);
    else if (others.length === 0) this.#corner(w, h);
    else if (others.length === 1 && w > h) { put(others[0], ...inside(w, h, this.mixed ? 1 : 1.25)); this.#corner(w, h); }
    else if (people.length <= 4) this.#grid(people, w, h);
    else this.#mainAnd(others[0], people.filter((tile) => tile !== others[0]), w, h);
    this.onsizes?.(this.sizes());
  }

  // We stand in the corner, above whoever fills the room: small and high up where the lower ones have tiles.
  #corner(w, h) {
    const size = this.mixed ? Math.max(96, Math.min(w * 0.14, h * 0.3, 200)) : Math.max(112, Math.min(w * 0.22, h * 0.5, 260));
    const sw = Math.round(size), sh = Math.round(sw / wide);
    this.self.classList.add('corner');
    put(this.self, w - sw - 12, this.mixed ? 12 : h - sh - 12, sw, sh);
  }

  #grid(list, w, h) {
    let best = { size: 0, cols: 1 };
    for (let cols = 1; cols <= list.length; cols++) {
      const rows = Math.ceil(list.length / cols);
      const tw = Math.min((w - gap * (cols - 1)) / cols, ((h - gap * (rows - 1)) / rows) * wide);
      if (tw > best.size) best = { size: tw, cols };
    }
    const tw = best.size, th = tw / wide, rows = Math.ceil(list.length / best.cols);
    list.forEach((tile, i) => {
      const row = Math.floor(i / best.cols), inRow = Math.min(best.cols, list.length - row * best.cols);
      const left = (w - inRow * tw - (inRow - 1) * gap) / 2 + (i % best.cols) * (tw + gap);
      put(tile, left, (h - rows * th - (rows - 1) * gap) / 2 + row * (th + gap), tw, th);
    });
  }

  // The small ones stand where they leave the large one more room: in rows below it, or in columns to its right.
  #mainAnd(main, rest, w, h) {
    const slides = main === this.presentation;
    // What a picture leaves free anyway belongs to the small ones.
    const spare = slides ? 0 : Math.min(h * 0.5, h - w / wide - 2 * gap);
    const below = rest.length ? strip(rest.length, w, Math.max(h * 0.24, spare)) : { along: 1, rows: 0, tw: 0, th: 0 };
    const under = h - below.rows * (below.th + gap);
    const beside = column(rest.length, w * 0.3, h);
    const left = w - beside.cols * (beside.tw + gap);
    const area = (mw, mh) => Math.min(mw, mh * wide) ** 2;
    if (rest.length && area(left, h) > area(w, under)) {
      put(main, ...(slides ? [0, 0, left, h] : inside(left, h, 1.15)));
      rest.forEach((tile, i) => {
        const col = Math.floor(i / beside.along), inCol = Math.min(beside.along, rest.length - col * beside.along);
        const top = (h - inCol * beside.th - (inCol - 1) * gap) / 2 + (i % beside.along) * (beside.th + gap);
        put(tile, left + gap + col * (beside.tw + gap), top, beside.tw, beside.th);
      });
      return;
    }
    put(main, ...(slides ? [0, 0, w, under] : inside(w, under, 1.15)));
    rest.forEach((tile, i) => {
      const row = Math.floor(i / below.along), inRow = Math.min(below.along, rest.length - row * below.along);
      const x = (w - inRow * below.tw - (inRow - 1) * gap) / 2 + (i % below.along) * (below.tw + gap);
      put(tile, x, under + gap + row * (below.th + gap), below.tw, below.th);
    });
  }

  // Physical pixels of every slot, then of the presentation: the sizes they are going to, not those on the way there. A tile
  // that is empty is wanted small: it appears when somebody is seated in it, and tells its real size then.
  sizes() {
    const scale = Math.min(window.devicePixelRatio || 1, 2);
    return [...this.slots, this.presentation].map((tile) => tile.hidden || !tile.box ? { width: 320, height: 180 }
      : { width: Math.round(tile.box[0] * scale) & ~1, height: Math.round(tile.box[1] * scale) & ~1 });
  }
}

// Rows below: as few as keep tiles at least 96 wide, none of them higher than `most`.
function strip(n, w, most) {
  for (let rows = 1; ; rows++) {
    const along = Math.ceil(n / rows);
    const tw = Math.min((w - gap * (along - 1)) / along, most / rows * wide, 260);
    if (tw >= 96 || along === 1) return { along, rows, tw, th: tw / wide };
  }
}

// Columns at the side: as few as keep tiles at least 54 high, all of them not wider than `most`.
function column(n, most, h) {
  for (let cols = 1; ; cols++) {
    const along = Math.ceil(n / cols);
    const th = Math.min((h - gap * (along - 1)) / along, (most - gap * cols) / cols / wide, 146);
    if (th >= 54 || along <= 1) return { along: Math.max(along, 1), cols, th, tw: th * wide };
  }
}

// A picture's place in the middle of w × h: its own shape, at most `stretch` times wider, so that little of it is cut.
function inside(w, h, stretch) {
  const tw = Math.min(w, h * wide * stretch), th = Math.min(h, tw / wide * stretch);
  return [(w - tw) / 2, (h - th) / 2, tw, th];
}

function put(tile, left, top, width, height) {
  tile.box = [width, height];
  Object.assign(tile.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
  tile.classList.toggle('tiny', width < 180);
  fit(tile);
}

function fit(tile) {
  const { videoWidth, videoHeight } = tile.querySelector('video');
  if (!videoWidth || !tile.box) return;
  const shape = videoWidth / videoHeight, box = tile.box[0] / tile.box[1];
  tile.classList.toggle('whole', Math.min(shape / box, box / shape) < visible);
}
