// The panel of the picture: how we get it ourselves, and for hosts what the conference's picture looks like. It shows what the server
// says is in force; each change is asked for at once, and what is refused goes back to what it was.
import { $, el, label } from './dom.js';
import { t } from './i18n.js';
import { describe, drawing, layouts, slidesDrawing } from './layouts.js';

// Between an event of the picture and asking what is in force: hosts may change several things in a row.
const settle = 250;
const audiences = { all: 'audienceAll', hosts: 'audienceHosts', guests: 'audienceGuests' };
const slides = { main: 'slidesMain', beside: 'slidesBeside', full: 'slidesFull' };
const on = (value) => (value ? 'auto' : 'off');
// Each switch: what it says of an entry, and how it changes one.
const switches = {
  'show-names': [(e) => e.actors_overlay_text !== 'off', (e, v) => { e.actors_overlay_text = on(v); }],
  'show-speaker': [(e) => e.indicate_speaker !== false, (e, v) => { e.indicate_speaker = v; }],
  'show-more': [(e) => e.plus_n !== 'off', (e, v) => { e.plus_n = on(v); }],
  'fill-tiles': [(e) => e.fill === true, (e, v) => { e.fill = v; }],
  'leave-self': [(e) => e.remove_self === true, (e, v) => { e.remove_self = v; }],
};

export class Picture {
  // `read()` gives what is in force for hosts and guests, or null; `write(layouts)` asks for it, and says whether it was done;
  // `own(mixed)` changes how we get the picture.
  constructor({ read, write, own }) {
    Object.assign(this, { read, write, own, entries: null, audience: 'all', host: false, turn: Promise.resolve() });
    this.#choices('own-view', { no: 'ownSeparate', yes: 'ownMixed' }, (key) => this.own(key === 'yes'));
    this.#choices('audience', audiences, (key) => { this.audience = key; this.render(); });
    this.#choices('slides', slides, (key) => this.#change((e) => { e.presentation = key; }), slidesDrawing);
    this.#choices('layouts', Object.fromEntries(layouts.map((name) => [name, null])), (key) => this.#change((e) => { e.layout = key; }), drawing);
    for (const [id, [, set]] of Object.entries(switches)) $(id).onchange = ({ target: { checked } }) => this.#change((e) => set(e, checked));
    $('banner-text').onchange = ({ target: { value } }) => this.#change((e) => { e.overlay_text = value.trim(); });
    $('banner-form').onsubmit = (event) => { event.preventDefault(); $('banner-text').blur(); };
    $('picture-reset').onclick = () => this.#next(() => this.#send([]));
  }

  // `mixed`: we asked for one picture, `unmixed`: and do not get it; `roles`: hosts and guests are told apart here.
  show({ host, mixed, unmixed, roles, open }) {
    const opened = open && !this.open;
    Object.assign(this, { host, mixed, unmixed, roles, open });
    if (opened && host) this.stirred(0);
    this.render();
  }

  // Somebody's picture is another one now: what is in force may have changed.
  stirred(after = settle) {
    if (!this.open || !this.host) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#next(async () => this.#take(await this.read())), after);
  }

  close() { clearTimeout(this.timer); this.open = false; }

  #take(entries) {
    if (entries) this.entries = { hosts: entries.find((e) => e.audience === 'hosts'), guests: entries.find((e) => e.audience === '') };
    this.render();
  }

  // One after the other: a change is made of what is in force after the one before it.
  #next(step) { return (this.turn = this.turn.then(step)); }

  // For whom the chosen audience stands.
  get #chosen() { return this.audience === 'all' || !this.roles ? ['hosts', 'guests'] : [this.audience]; }

  #change(change) {
    const audiences = this.#chosen;
    return this.#next(async () => {
      if (!this.entries) return;
      const wanted = audiences.map((name) => ({ ...this.entries[name] }));
      wanted.forEach(change);
      await this.#send(wanted);
    });
  }

  async #send(wanted) {
    await this.write(wanted);
    this.#take(await this.read());
  }

  render() {
    const { host, mixed, unmixed, roles, entries } = this;
    const entry = entries?.[this.#chosen[0]];
    $('host-picture').hidden = !host || !entries;
    this.#press('own-view', mixed ? 'yes' : 'no');
    $('own-hint').textContent = t(unmixed ? 'ownMixedNone' : mixed ? 'ownMixedHint' : 'ownSeparateHint');
    if (!host || !entry) return;
    $('audience').hidden = !roles;
    this.#press('audience', this.audience);
    this.#press('layouts', entry.layout);
    this.#press('slides', entry.presentation ?? 'main');
    $('layout-name').textContent = describe(entry.layout);
    for (const [id, [get]] of Object.entries(switches)) $(id).checked = get(entry);
    if (document.activeElement !== $('banner-text')) $('banner-text').value = entry.overlay_text ?? '';
    const names = Object.entries({ 'own-view': { no: 'ownSeparate', yes: 'ownMixed' }, audience: audiences, slides });
    for (const [id, words] of names) for (const button of $(id).children) button.lastChild.textContent = t(words[button.value]);
    for (const button of $('layouts').children) label(button, describe(button.value));
  }

  // Buttons of which one is pressed; `words` are keys of texts, null where the drawing says it.
  #choices(id, words, choose, draw) {
    const button = ([value, word]) => {
      const made = el('button', '', ...(draw ? [draw(value)] : []), ...(word ? [el('span', '', t(word))] : []));
      Object.assign(made, { type: 'button', value, onclick: () => choose(value) });
      return made;
    };
    $(id).replaceChildren(...Object.entries(words).map(button));
  }

  #press(id, value) {
    for (const button of $(id).children) button.setAttribute('aria-pressed', button.value === value);
  }
}
