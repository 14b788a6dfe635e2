// Comfort only: every one of these has a way without script.
const root = document.documentElement, $ = (s, e = document) => e.querySelector(s);

// Days begin where the reader is.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && !document.cookie.includes('tz=')) document.cookie = 'tz=' + zone + ';path=/;max-age=31536000;samesite=lax';

// Theme: show the other one at once and let the server remember it.
document.addEventListener('submit', e => {
  if (e.target.getAttribute('action') !== '/settings/theme') return;
  e.preventDefault();
  const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  const theme = root.dataset.theme = dark ? 'light' : 'dark';
  fetch('/settings/theme', { method: 'POST', body: new URLSearchParams({ theme }), redirect: 'manual' });
});

document.addEventListener('keydown', e => {
  if (e.ctrlKey || e.metaKey || e.altKey || e.target.matches('input, select, textarea') || $('dialog[open]')) return;
  if (e.key === '/' && $('.bar .search input')) { e.preventDefault(); $('.bar .search input').focus(); }
  if (e.key === 't') $('.half').click();
  if (e.key === '?') $('#keys').showModal();
  if (e.key === 'j' || e.key === 'k') {
    const rows = [...document.querySelectorAll('tbody tr, .item')].map(r => [...r.querySelectorAll('a, summary')].find(e => e.offsetParent)).filter(Boolean), i = rows.indexOf(document.activeElement);
    rows[Math.max(0, Math.min(rows.length - 1, i + (e.key === 'j' ? 1 : -1)))]?.focus();
  }
});

// Upload: drop files anywhere, name the suite, Enter.
const form = () => $('form[data-upload]');
const holdsFiles = e => form() && [...(e.dataTransfer?.types || [])].includes('Files');
const size = n => n < 1000 ? n + ' B' : n < 1e6 ? (n / 1e3).toFixed(1) + ' kB' : (n / 1e6).toFixed(1) + ' MB';

function choose(f) {
  const files = [...f.elements.file.files], suite = f.elements.suite;
  if (!files.length) return;
  const total = size(files.reduce((sum, file) => sum + file.size, 0));
  $('[data-chosen]', f).textContent = (files.length === 1 ? files[0].name : files.length + ' files') + ', ' + total + '. Check the suite, then press Enter.';
  if (!suite.value) suite.value = files[0].name.replace(/(\.(xml|gz|json|jsonl|out|txt))+$/i, '').slice(0, 100);
  suite.focus();
  suite.select();
}
document.addEventListener('dragover', e => { if (holdsFiles(e)) { e.preventDefault(); root.classList.add('over'); } });
document.addEventListener('dragleave', e => { if (!e.relatedTarget) root.classList.remove('over'); });
document.addEventListener('drop', e => {
  root.classList.remove('over');
  if (!holdsFiles(e)) return;
  e.preventDefault();
  form().elements.file.files = e.dataTransfer.files;
  choose(form());
});
document.addEventListener('change', e => { if (e.target.name === 'file' && e.target.form === form()) choose(form()); });

// The suite goes in the address as well, before the files: a refusal that comes early still knows it.
document.addEventListener('htmx:configRequest', e => {
  const suite = e.detail.elt === form() && form().elements.suite.value;
  if (suite) e.detail.path += '?suite=' + encodeURIComponent(suite);
});

// htmx: refusals carry a page too; what loads says so.
document.addEventListener('htmx:beforeSwap', e => { if (e.detail.xhr.status >= 400 && e.detail.xhr.getResponseHeader('Content-Type')?.startsWith('text/html')) e.detail.shouldSwap = true; });
document.addEventListener('htmx:beforeRequest', e => e.detail.elt.setAttribute('aria-busy', 'true'));
document.addEventListener('htmx:afterRequest', e => e.detail.elt.removeAttribute('aria-busy'));
document.addEventListener('htmx:xhr:progress', e => {
  const bar = $('progress', e.detail.elt ?? e.target);
  if (bar && e.detail.lengthComputable) { bar.classList.remove('vh'); bar.value = 100 * e.detail.loaded / e.detail.total; }
});
document.addEventListener('htmx:afterSettle', () => { const n = $('#upload [role=status]'); if (n) { n.tabIndex = -1; n.focus({ preventScroll: true }); } });

$('.bar [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' });

// Dialogs are also pages of their own: a fragment shows them where there is no script.
// What takes the keys first is named by data-focus: autofocus would be tried when the page loads.
document.addEventListener('click', e => {
  const opener = e.target.closest('[data-dialog]'), closer = e.target.closest('[data-close]');
  if (opener) {
    e.preventDefault();
    const dialog = $('#' + opener.dataset.dialog);
    dialog.showModal();
    $('[data-focus]', dialog)?.focus();
  }
  if (closer) { e.preventDefault(); closer.closest('dialog').close(); }
});

// A big strip is one stop of the tab key; arrows move within.
document.addEventListener('keydown', e => {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[e.key], strip = document.activeElement.closest?.('.strip.big');
  if (!by || !strip) return;
  const all = [...strip.children];
  all[Math.max(0, Math.min(all.length - 1, all.indexOf(document.activeElement) + by))].focus();
});

// Live: counts at most once a second; rows never move under the pointer or the focus.
let source, spoken = 0;
const say = text => { const s = $('[data-live-state]'); if (s) s.textContent = text; };
const reading = () => { const r = $('#results'); return !!r && (r.matches(':hover') || r.contains(document.activeElement)); };

// take puts what changed in another copy of the page in place; false: not the rows, which are being read.
function take(page) {
  const held = reading();
  for (const id of held ? ['progress'] : ['progress', 'results']) {
    const old = document.getElementById(id), now = page.getElementById(id);
    if (!old || !now) continue;
    for (const d of old.querySelectorAll('details[id][open]')) now.querySelector('#' + CSS.escape(d.id))?.setAttribute('open', '');
    old.replaceWith(now);
  }
  const chips = page.querySelector('.chips'), title = page.querySelector('h1')?.parentElement;
  if (chips && !$('.chips').contains(document.activeElement)) { $('.chips').replaceWith(chips); htmx.process(chips); }
  if (title) $('h1').parentElement.replaceWith(title);
  return !held;
}

function follow() {
  const address = $('[data-live]')?.dataset.live;
  if (source && source.of === address) return;
  source?.close();
  source = undefined;
  if (!address) return;
  const mine = source = Object.assign(new EventSource(address), { of: address });
  let pending = 0, last = 0, ended = false, waiting = false;
  const again = ms => { pending ||= setTimeout(refresh, ms); };
  const refresh = async () => {
    pending = 0;
    if (source !== mine) return; // another page is shown
    last = Date.now();
    try {
      const answer = await fetch(location.href);
      if (!answer.ok) throw answer.status;
      const whole = take(new DOMParser().parseFromString(await answer.text(), 'text/html'));
      say(!whole ? 'the list waits while it is read' : ended ? '' : 'live');
      if (!whole && !waiting) untilLeft();
      if (ended) mine.close();
      if (ended && whole) source = undefined;
    } catch { say('no answer, trying again'); again(2000); }
    if (ended || Date.now() - spoken > 10000) { spoken = Date.now(); announce($('#progress svg')?.getAttribute('aria-label') ?? ''); }
  };
  const untilLeft = () => { waiting = true; setTimeout(() => { if (reading()) return untilLeft(); waiting = false; again(0); }, 500); };
  mine.onopen = () => say('live');
  mine.onerror = () => { if (!ended) say('connection lost, trying again'); };
  mine.addEventListener('progress', e => {
    ended = !['pending', 'running'].includes(JSON.parse(e.data).status);
    again(Math.max(0, 1000 - (Date.now() - last)));
  });
}
function announce(text) {
  let region = $('#announce');
  if (!region) { region = document.createElement('div'); region.id = 'announce'; region.className = 'vh'; region.setAttribute('aria-live', 'polite'); document.body.append(region); }
  region.textContent = text;
}
addEventListener('DOMContentLoaded', follow);
document.addEventListener('htmx:afterSettle', follow);
if (document.readyState !== 'loading') follow();

// Events of the cache, the newest first, as text: at most fifty rows.
function watchCache() {
  const state = $('[data-cache-events]'), log = $('[data-cache-log]');
  if (!state || !log || state.dataset.on) return;
  state.dataset.on = '1';
  const events = new EventSource(state.dataset.cacheEvents);
  events.onopen = () => state.textContent = 'live';
  events.onerror = () => state.textContent = 'connection lost, trying again';
  events.addEventListener('cache', e => {
    const told = JSON.parse(e.data), row = log.insertRow(0);
    const cell = (text, kind = '') => { const c = row.insertCell(); c.textContent = text; c.className = kind; };
    cell(new Date(told.at).toLocaleTimeString(), 'dim');
    cell([told.kind, told.detail].filter(Boolean).join(': '));
    cell(told.name, 'cut mono');
    cell(told.took ? told.took + ' ms' : '', 'n dim p3');
    if (log.rows.length > 50) log.deleteRow(50);
    if (told.dropped) state.textContent = 'live, ' + told.dropped + ' lost';
  });
  addEventListener('pagehide', () => events.close());
}
addEventListener('DOMContentLoaded', watchCache);
if (document.readyState !== 'loading') watchCache();
