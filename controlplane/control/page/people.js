// The list of participants, and what a host may do to them. Rows are kept while people are there, so that neither focus nor a
// half-made decision is lost when somebody speaks.
import { $, el, hue, icon, initials, label, named } from './dom.js';
import { t } from './i18n.js';

const sureFor = 4000;

export class People {
  // `act(uuid, command)` does it.
  constructor(list, act) {
    this.list = list;
    this.act = act;
    this.rows = new Map();
    list.replaceChildren();
  }

  // `people` in the order they came; `me` is our uuid; `host` = we may steer.
  show(people, { me, host }) {
    const waits = (p) => p.service_type === 'waiting_room';
    const order = [...people.filter(waits), ...people.filter((p) => p.uuid === me && !waits(p)), ...people.filter((p) => p.uuid !== me && !waits(p))];
    const there = new Set(order.map((p) => p.uuid));
    for (const [uuid, row] of this.rows) if (!there.has(uuid)) { row.root.remove(); this.rows.delete(uuid); }
    order.forEach((p, i) => {
      const row = this.rows.get(p.uuid) ?? this.#row(p.uuid);
      this.#fill(row, p, { self: p.uuid === me, host });
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
    };
    row.avatar.style.setProperty('--hue', hue(uuid));
    row.avatar.setAttribute('aria-hidden', 'true');
    row.root.append(row.avatar, el('span', 'who', row.name, row.tag), row.muted, row.admit, row.mute, row.remove);
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

  #fill(row, p, { self, host }) {
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
    row.remove.hidden = !host || self;
    label(row.remove, t('remove', { name }));
  }
}
