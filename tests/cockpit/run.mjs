// Runs one case: CASE=NAME node run.mjs. The last line counts what it looked at.
import { check, counts, shootAll, start, stop } from "./browser.mjs";

try {
  await start();
  const { default: play } = await import(`./cases/${process.env.CASE}.mjs`);
  await play(JSON.parse(process.env.WORDS || "{}"));
} catch (error) {
  check(false, `the case ${process.env.CASE} goes on to its end`, error.stack || error);
}
if (counts().failed) await shootAll();
await stop().catch(() => undefined);
const { passed, failed } = counts();
console.log(`${passed} looked at, ${failed} failed`);
process.exit(failed || !passed ? 1 : 0);
