// Chat: a list that is bounded, an input, and the count of what was not read.
import { $, el, named, notice } from './dom.js';
import { language, t } from './i18n.js';

// Messages kept on screen; older ones go.
const kept = 300;

export class Chat {
  // `send(text)` sends; the message is shown when it comes back as an event, so everybody sees the same order.
  constructor(send) {
    this.unread = 0;
    this.latest = null;
    $('chat-list').replaceChildren();
    $('chat-text').value = '';
    $('chat-form').onsubmit = async (event) => {
      event.preventDefault();
      const text = $('chat-text').value.trim();
      if (!text) return;
      $('chat-text').value = '';
      // What could not be sent is given back to be sent again.
      if (!await send(text) && !$('chat-text').value) $('chat-text').value = text;
    };
    this.#show();
  }

  add({ origin, payload, type, uuid }, mine) {
    if (typeof payload !== 'string' || !payload || !/^text\/plain\b/i.test(type ?? 'text/plain')) return;
    const list = $('chat-list');
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    const time = new Date().toLocaleTimeString(language(), { hour: '2-digit', minute: '2-digit' });
    const again = this.latest === uuid && list.lastElementChild;
    this.latest = uuid;
    const head = again ? [] : [el('header', '', named('b', '', mine ? t('you') : origin), el('time', 'dim', time))];
    list.append(el('li', mine ? 'mine' : '', ...head, named('p', '', payload)));
    while (list.children.length > kept) list.firstElementChild.remove();
    if (atEnd || mine) list.scrollTop = list.scrollHeight;
    if ($('chat').hidden && !mine) {
      this.unread += 1;
      notice(t('chatFrom', { name: origin, text: payload.length > 80 ? `${payload.slice(0, 80)}…` : payload }));
    }
    this.#show();
  }

  read() {
    this.unread = 0;
    $('chat-list').scrollTop = $('chat-list').scrollHeight;
    this.#show();
  }

  #show() {
    $('chat-empty').hidden = $('chat-list').children.length > 0;
    $('chat-unread').textContent = this.unread > 99 ? '99+' : this.unread;
    $('chat-unread').hidden = !this.unread;
  }
}
