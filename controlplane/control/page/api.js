// The in-conference API (MGMT) as this page uses it: a session with its token, requests, and the event stream.

export class Refused extends Error {
  constructor(status, result) {
    super(typeof result === 'string' ? result : `status ${status}`);
    this.status = status;
    this.result = result;
  }
}

// A blank PIN says that the person has none, which is how guests enter where they need none. What a header cannot carry cannot
// be a PIN, and is sent as one that is wrong.
function pinHeader(pin) { return !pin ? 'none' : /^[\x21-\x7e]+$/.test(pin) ? pin : '?'; }

export class Session {
  constructor(conference) {
    this.base = `/api/services/${encodeURIComponent(conference)}`;
    this.token = null;
    this.handlers = new Map();
    this.closed = false;
  }

  async open(displayName, pin) {
    const headers = { 'content-type': 'application/json', pin: pinHeader(pin) };
    const result = await this.#fetch('/new_session', { method: 'POST', headers, body: JSON.stringify({ display_name: displayName }) });
    Object.assign(this, { token: result.token, uuid: result.participant_uuid, info: result });
    this.#scheduleRefresh(Number(result.expires) || 120);
    return result;
  }

  // `once`: not sent again when the network fails, because twice would be seen.
  post(path, body, { once = false } = {}) {
    return this.#fetch(path, { method: 'POST', headers: { 'content-type': 'application/json', token: this.token }, body: JSON.stringify(body ?? {}) }, once ? 0 : 1);
  }

  get(path) { return this.#fetch(path, { headers: { token: this.token } }); }

  mine(path, body) { return this.post(`/participants/${this.uuid}/${path}`, body); }

  on(event, handler) { this.handlers.set(event, handler); this.source?.addEventListener(event, (e) => this.#deliver(event, e)); }

  listen(onState) {
    this.source?.close();
    // The stream carries the token in its address; a refreshed token keeps it, and a new stream gets the newest one. With the
    // id of the last event the server sends what was missed, or everything anew.
    const since = this.lastId ? `&last_event_id=${encodeURIComponent(this.lastId)}` : '';
    this.source = new EventSource(`${this.base}/events?token=${encodeURIComponent(this.token)}${since}`);
    for (const name of this.handlers.keys()) this.source.addEventListener(name, (e) => this.#deliver(name, e));
    this.source.onopen = () => { this.retry = 500; onState(true); };
    this.source.onerror = () => {
      if (this.closed) return;
      onState(false);
      this.source.close();
      this.retry = Math.min((this.retry ?? 500) * 2, 8000);
      // The stream does not say why it was refused; refreshing does.
      setTimeout(async () => { if (this.retry > 2000) await this.#refresh(this.life); if (!this.closed) this.listen(onState); }, this.retry);
    };
  }

  close(beacon = false) {
    if (this.closed) return;
    this.closed = true;
    clearTimeout(this.refreshTimer);
    this.source?.close();
    if (!this.token) return;
    if (beacon) navigator.sendBeacon(`${this.base}/end_session?token=${encodeURIComponent(this.token)}`);
    else this.post('/end_session').catch(() => {});
  }

  #deliver(name, e) {
    if (this.closed) return;
    if (e.lastEventId) this.lastId = e.lastEventId;
    let data = null;
    try { data = e.data ? JSON.parse(e.data) : null; } catch { return; }
    this.handlers.get(name)?.(data);
  }

  #scheduleRefresh(expires) {
    this.life = expires;
    clearTimeout(this.refreshTimer);
    this.refreshTimer = setTimeout(() => this.#refresh(expires), Math.max(2, expires / 5) * 1000);
  }

  async #refresh(expires) {
    try {
      const result = await this.post('/refresh_session');
      this.token = result.token;
      this.#scheduleRefresh(Number(result.expires) || expires);
    } catch (e) {
      if (this.closed) return;
      clearTimeout(this.refreshTimer);
      if (e.status === 403) this.handlers.get('expired')?.(e);
      else this.refreshTimer = setTimeout(() => this.#refresh(expires), 3000);
    }
  }

  // A browser breaks requests off when a network interface comes or goes, so what failed is tried once more.
  async #fetch(path, init, again = 1) {
    let response;
    try { response = await fetch(this.base + path, init); } catch {
      if (!again) throw new Refused(0, 'offline');
      await new Promise((resolve) => setTimeout(resolve, 400));
      return this.#fetch(path, init, again - 1);
    }
    let body = null;
    try { body = await response.json(); } catch { /* an answer without a body is judged by its status */ }
    if (!response.ok || body?.status === 'failed') throw new Refused(response.status, body?.result ?? response.statusText);
    return body?.result;
  }
}
