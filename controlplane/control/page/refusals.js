// Why something was refused, or is over, in the person's own language. The server's words are for machines and logs; they are
// shown only where there are none of ours.
import { t } from './i18n.js';
import { Refused } from './api.js';

export function explain(error, { pin = '' } = {}) {
  if (!(error instanceof Refused)) return error.message;
  const words = typeof error.result === 'string' ? error.result : '';
  switch (error.status) {
    case 0: return t('refusedOffline');
    case 403:
      if (error.result?.pin) return t(pin ? 'refusedPin' : 'refusedPinMissing');
      if (/only a host/i.test(words)) return t('refusedHost');
      return /present/i.test(words) ? t('refusedPresenting') : t('refusedInput', { reason: words || error.message });
    case 404: return t(/participant/i.test(words) ? 'refusedGone' : /request/i.test(words) ? 'refusedFeature' : 'refusedConference');
    case 501: return t('refusedFeature');
    case 429: return t('refusedTooMany');
    case 503:
      if (/full/i.test(words)) return t('refusedFull');
      return t(/limit/i.test(words) ? 'refusedServerFull' : 'refusedBusy');
    default: return error.status >= 500 ? t('refusedBusy') : t('refusedInput', { reason: words || error.message });
  }
}

// Title and text of the farewell, by the reason that the server gave.
const farewells = {
  left: ['endedLeft'],
  expired: ['endedExpired', 'endedExpiredText'],
  'Participant left': ['endedLeft'],
  'Session expired': ['endedExpired', 'endedExpiredText'],
  'API initiated participant disconnect': ['endedRemoved', 'endedRemovedText'],
  'Conference terminated by a host': ['endedOver', 'endedOverText'],
  'Conference deleted': ['endedOver', 'endedDeletedText'],
  'The server is shutting down': ['endedServer', 'endedServerText'],
};

export function farewell(reason) {
  const [title, text] = farewells[reason] ?? ['endedOther', null];
  return { title: t(title), text: text ? t(text) : farewells[reason] ? '' : reason ?? '' };
}

// Why camera and microphone could not be opened.
export function deviceProblem(error) {
  if (!navigator.mediaDevices) return t('problemInsecure');
  switch (error?.name) {
    case 'NotAllowedError': case 'SecurityError': return t('problemDenied');
    case 'NotFoundError': case 'OverconstrainedError': return t('problemNone');
    case 'NotReadableError': case 'AbortError': return t('problemBusy');
    default: return t('problemOther', { reason: error?.message ?? '' });
  }
}
