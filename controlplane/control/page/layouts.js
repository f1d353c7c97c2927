// Layouts as small drawings (docs/layouts.md), with words for those who hear the page. Pure geometry: where tiles really stand is the
// server's business.
import { t } from './i18n.js';

const row = (y) => Array.from({ length: 7 }, (_, i) => [i / 7, y, 1 / 7, 1 / 7]);
const rows = [...row(4 / 7), ...row(5 / 7), ...row(6 / 7)];
const side = (x) => [0, 1, 2].flatMap((r) => [[x, r / 7 + 1 / 14, 1 / 7, 1 / 7], [x + 1 / 7, r / 7 + 1 / 14, 1 / 7, 1 / 7]]);
const equal = (n) => Array.from({ length: n * n }, (_, i) => [(i % n) / n, Math.floor(i / n) / n, 1 / n, 1 / n]);

// A large tile of `size` cells in a grid of n × n, and small ones in every other cell.
function among(n, at, size) {
  const free = ([x, y]) => x * n < at - 0.5 || x * n > at + size - 0.5 || y * n < at - 0.5 || y * n > at + size - 0.5;
  return [[at / n, at / n, size / n, size / n], ...equal(n).filter(free)];
}

// Places of the tiles as shares of width and height: the large ones first.
const places = {
  '1:0': [[0, 0, 1, 1]],
  '2:0': [[0, 1 / 4, 1 / 2, 1 / 2], [1 / 2, 1 / 4, 1 / 2, 1 / 2]],
  '3:0': [[1 / 4, 0, 1 / 2, 1 / 2], [0, 1 / 2, 1 / 2, 1 / 2], [1 / 2, 1 / 2, 1 / 2, 1 / 2]],
  '4:0': equal(2), '9:0': equal(3), '16:0': equal(4), '25:0': equal(5),
  '1:5': among(3, 0, 2), '1:9': among(5, 0, 4), '1:12': among(4, 1, 2),
  '1:7': [[1 / 14, 0, 6 / 7, 6 / 7], ...row(6 / 7)],
  '1:21': [[3 / 14, 0, 4 / 7, 4 / 7], ...rows],
  '2:21': [[0, 1 / 28, 1 / 2, 1 / 2], [1 / 2, 1 / 28, 1 / 2, 1 / 2], ...rows],
  '1:33': [[2 / 7, 1 / 14, 3 / 7, 3 / 7], ...side(0), ...side(5 / 7), ...rows],
  stacked: [[1 / 4, 0, 1 / 2, 1 / 2], [1 / 4, 1 / 2, 1 / 2, 1 / 2]],
};
// Those that grow with the number of people, drawn as one of the others.
const grows = { onePlusN: ['1:5', 'layoutGrowsLarge'], allEqual: ['9:0', 'layoutGrowsEqual'] };

// Those that can be chosen here, in their order.
export const layouts = ['onePlusN', 'allEqual', '1:0', '2:0', '3:0', '4:0', '9:0', '16:0', '25:0', '1:5', '1:7', '1:9', '1:12', '1:21', '2:21', '1:33'];

const [width, height] = [48, 27];

// Where a shared screen stands: drawings of the same kind.
const slides = {
  main: [[1 / 14, 0, 6 / 7, 6 / 7], ...row(6 / 7)],
  beside: [[0, 1 / 7, 2 / 3, 2 / 3], [2 / 3, 1 / 4, 1 / 3, 1 / 3], ...row(6 / 7)],
  full: [[0, 0, 1, 1]],
};

export function drawing(name) { return draw(places[grows[name]?.[0] ?? name] ?? [], large(name), Boolean(grows[name])); }
export function slidesDrawing(place) { return draw(slides[place], 1, false); }

export function describe(name) {
  if (grows[name]) return t(grows[name][1]);
  if (name === '1:0') return t('layoutOne');
  const [a, b] = name.split(':').map(Number);
  if (!a) return name;
  return b ? t('layoutTiles', { large: a, small: b }) : t('layoutEqual', { n: a });
}

function large(name) {
  const tiles = Number(name.split(':')[0]);
  return name === 'onePlusN' ? 1 : tiles || 99;
}

function draw(tiles, bright, open) {
  const ns = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(ns, 'svg');
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  svg.setAttribute('aria-hidden', 'true');
  tiles.forEach(([x, y, w, h], i) => {
    const rect = document.createElementNS(ns, 'rect');
    const gap = w < 0.2 ? 0.5 : 0.8;
    Object.entries({ x: x * width + gap, y: y * height + gap, width: w * width - 2 * gap, height: h * height - 2 * gap, rx: Math.min(1.5, w * 6) })
      .forEach(([key, value]) => rect.setAttribute(key, value.toFixed(2)));
    // The last tiles of one that grows are hinted at.
    rect.setAttribute('class', open && i >= tiles.length - 3 ? 'maybe' : i >= bright ? 'little' : 'large');
    svg.append(rect);
  });
  return svg;
}
