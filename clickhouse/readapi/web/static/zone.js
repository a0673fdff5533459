// Tells the server which time zone the browser is in, so that sessions whose
// times are not the viewer's can say so. The page works without it: the form
// has a field for the zone.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const kept = document.cookie.split("; ").find((c) => c.startsWith("daybook_viewer_tz="));
const value = zone && "daybook_viewer_tz=" + encodeURIComponent(zone);
if (value && kept !== value) {
  document.cookie = value + "; Path=/; Max-Age=31536000; SameSite=Strict";
  if (document.cookie.includes(value) && !new URLSearchParams(location.search).has("viewer_tz")) location.reload();
}
