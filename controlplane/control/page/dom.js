// Small helpers over the document: elements, views, and the two lines of text above the room.

export const $ = (id) => document.getElementById(id);

const views = ['lobby', 'waiting', 'room', 'ended'];

export function view(name) {
  document.body.dataset.view = name;
  for (const id of views) $(id).hidden = id !== name;
}

// An element with a class and children; strings become text, never markup.
export function el(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  use.setAttribute('href', `#i-${name}`);
  svg.setAttribute('aria-hidden', 'true');
  svg.append(use);
  return svg;
}

export function label(element, text) {
  element.setAttribute('aria-label', text);
  element.title = text;
}

// A name that may be written in either direction, kept apart from what stands beside it.
export function named(tag, className, name) {
  const element = el(tag, className, name);
  element.dir = 'auto';
  return element;
}

// What lasts (the connection is lost) and what passes (somebody did something) have a line each.
export function banner(message) {
  $('banner').textContent = message;
  $('banner').hidden = !message;
}

let noticeTimer = 0;
export function notice(message, forMs = 5000) {
  clearTimeout(noticeTimer);
  $('notice').textContent = message;
  $('notice').hidden = !message;
  if (message) noticeTimer = setTimeout(() => { $('notice').hidden = true; }, forMs);
}

// The letters and the colour that stand for somebody without a picture: two letters where names are written with spaces between
// letters that stand alone, else the first character, which may be an emoji of many code points.
export function initials(name) {
  const words = name.trim().split(/\s+/).filter(Boolean);
  const first = (word) => (word && 'Segmenter' in Intl ? [...new Intl.Segmenter().segment(word)][0].segment : [...(word ?? '')][0] ?? '');
  const alphabetic = /^[\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}]/u;
  const letters = words.length > 1 && alphabetic.test(words[0]) && alphabetic.test(words.at(-1)) ? [words[0], words.at(-1)] : words.slice(0, 1);
  return letters.map(first).join('').toLocaleUpperCase() || '?';
}

export function hue(uuid) {
  return parseInt((uuid ?? '').slice(0, 4), 16) % 360 || 214;
}
