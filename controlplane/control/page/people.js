// The list of participants, and what a host may do to them. Rows are kept while people are there, so that neither focus nor a
// half-made decision is lost when somebody speaks.
import { $, el, hue, icon, initials, label, named } from './dom.js';
import { t } from './i18n.js';

const sureFor = 4000;
// Percent: as loud as they are.
const usual = 100;

export class People {
  // `act(uuid, command, body)` does it; whether it was done.
  constructor(list, act) {
    this.list = list;
    this.act = act;
    this.rows = new Map();
    list.replaceChildren();
  }

  // `people` in the order they came; `me` is our uuid; `host` = we may steer; `mixed` = we hear how loud they are mixed.
  show(people, { me, host, mixed }) {
    const waits = (p) => p.service_type === 'waiting_room';
    const order = [...people.filter(waits), ...people.filter((p) => p.uuid === me && !waits(p)), ...people.filter((p) => p.uuid !== me && !waits(p))];
    const there = new Set(order.map((p) => p.uuid));
    for (const [uuid, row] of this.rows) if (!there.has(uuid)) { row.root.remove(); this.rows.delete(uuid); }
    order.forEach((p, i) => {
      const row = this.rows.get(p.uuid) ?? this.#row(p.uuid);
      this.#fill(row, p, { self: p.uuid === me, host, mixed });
      if (this.list.children[i] !== row.root) this.list.insertBefore(row.root, this.list.children[i] ?? null);
    });
    const waiting = order.filter(waits).length;
    $('people-waiting').textContent = waiting;
    $('people-waiting').hidden = !waiting;
    $('people-count').textContent = order.length - waiting;
    label($('people-toggle'), `${t('participants')}: ${order.length - waiting}`);
  }

  #row(uuid) {
    const row = {
      root: el('li', ''), avatar: el('span', 'avatar-small'), name: named('b', '', ''), tag: el('small', ''), muted: el('span', 'muted', icon('mic-off')),
      mute: this.#button('icon', icon('mic')), remove: this.#button('icon warn', icon('remove')), admit: this.#button('primary small'),
      more: this.#button('icon', icon('more')), first: this.#button('secondary small toggle', icon('pin'), el('span', '')),
      volume: el('input', ''), loud: el('output', ''), extra: el('div', 'extra'),
    };
    row.avatar.style.setProperty('--hue', hue(uuid));
    row.avatar.setAttribute('aria-hidden', 'true');
    Object.assign(row.volume, { type: 'range', min: 0, max: 400, step: 10, value: usual });
    row.slider = el('label', 'slider', el('span', ''), row.volume, row.loud);
    row.extra.append(row.first, row.slider);
    row.extra.hidden = true;
    row.root.append(row.avatar, el('span', 'who', row.name, row.tag), row.muted, row.admit, row.mute, row.more, row.remove, row.extra);
    row.more.onclick = () => {
      row.extra.hidden = !row.extra.hidden;
      row.more.setAttribute('aria-expanded', !row.extra.hidden);
    };
    row.more.setAttribute('aria-expanded', false);
    row.first.onclick = () => this.act(uuid, row.first.getAttribute('aria-pressed') === 'true' ? 'spotlightoff' : 'spotlighton');
    row.volume.oninput = () => { row.loud.textContent = `${row.volume.value} %`; };
    // What was refused goes back to what it was.
    row.volume.onchange = async () => { if (!await this.act(uuid, 'volume', { percent: Number(row.volume.value) })) this.#loud(row); };
    row.mute.onclick = () => this.act(uuid, row.mute.dataset.command);
    row.admit.onclick = () => this.act(uuid, 'unlock');
    row.remove.onclick = () => {
      if (row.sure) { this.#calm(row); this.act(uuid, 'disconnect'); return; }
      // Asked twice, on the same spot: nobody is thrown out by a slip.
      row.remove.replaceChildren(t('removeSure'));
      row.remove.classList.add('sure');
      row.sure = setTimeout(() => this.#calm(row), sureFor);
    };
    this.rows.set(uuid, row);
    return row;
  }

  #loud(row) {
    row.volume.value = row.percent;
    row.loud.textContent = `${row.percent} %`;
  }

  #button(className, ...children) {
    const button = el('button', className, ...children);
    button.type = 'button';
    return button;
  }

  #calm(row) {
    clearTimeout(row.sure);
    row.sure = null;
    row.remove.classList.remove('sure');
    row.remove.replaceChildren(icon('remove'));
  }

  #fill(row, p, { self, host, mixed }) {
    const name = p.display_name || p.uri || '';
    const waits = p.service_type === 'waiting_room';
    const muted = p.is_muted === 'YES';
    row.avatar.textContent = initials(name);
    row.name.textContent = name;
    row.name.title = name;
    row.tag.textContent = [self && t('you'), p.role === 'chair' && t('host'), waits && t('waiting')].filter(Boolean).join(' · ');
    row.muted.hidden = waits || !(muted || p.is_client_muted);
    label(row.muted, t('micOff'));
    row.admit.hidden = !(host && waits);
    row.admit.textContent = t('admit');
    row.mute.hidden = !host || waits || self || !p.has_media;
    row.mute.dataset.command = muted ? 'unmute' : 'mute';
    row.mute.classList.toggle('off', muted);
    label(row.mute, t(muted ? 'unmute' : 'mute', { name }));
    row.more.hidden = !host || waits || !p.has_media;
    label(row.more, t('more', { name }));
    if (row.more.hidden) row.extra.hidden = true;
    row.first.setAttribute('aria-pressed', p.spotlight > 0);
    row.first.lastChild.textContent = t('showFirst');
    row.slider.hidden = !mixed;
    row.slider.firstChild.textContent = t('volume');
    row.volume.setAttribute('aria-label', t('volumeOf', { name }));
    if (row.percent !== (p.volume ?? usual)) { row.percent = p.volume ?? usual; this.#loud(row); }
    row.remove.hidden = !host || self;
    label(row.remove, t('remove', { name }));
  }
}
