// What was dropped, as files: folders are walked, down to a bound, by the entries of the File and
// Directory Entries API. Only the names of the files are kept: an inbox has no folders.

/** The most files that one drop gives. */
const MOST = 2000;
/** The deepest folder that is looked into. */
const DEEPEST = 64;

const fileOf = (entry) => new Promise((done, failed) => entry.file(done, failed));

/** Everything directly in a folder, which is told some at a time, and then nothing. */
async function inside(folder) {
  const reader = folder.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (some.length === 0) return found;
    found.push(...some);
    if (found.length > MOST) return found;
  }
}

/**
 * The files of a drop. To be called while the drop is handled, for its items are gone afterwards.
 * `isAll` is false if there were more than are taken, or some could not be read.
 */
export async function dropped(transfer) {
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const first = items.map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile()).filter(Boolean);
  const files = [];
  let isAll = true;
  const waiting = first.map((one) => ({ one, depth: 0 }));
  for (let next = waiting.shift(); next; next = waiting.shift()) {
    const { one, depth } = next;
    if (files.length >= MOST || depth > DEEPEST) { isAll = false; continue; }
    try {
      if (one instanceof File) files.push(one);
      else if (one.isFile) files.push(await fileOf(one));
      else waiting.push(...(await inside(one)).map((child) => ({ one: child, depth: depth + 1 })));
    } catch {
      isAll = false;
    }
  }
  return { files, isAll };
}
