// Collects dropped files. Folders are walked to a bounded depth with the File and Directory Entries
// API. Only file names are kept, because an inbox has no folders.

/** Maximum number of files per drop. */
const MOST = 2000;
/** Maximum depth of folders. */
const DEEPEST = 64;

const fileOf = (entry) => new Promise((done, failed) => entry.file(done, failed));

/** Reads all entries of a folder; the API returns them in batches, and ends with an empty one. */
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
 * Returns the files of a drop. Call it in the drop event's handler: the items are not available later.
 * `isAll` is false if there were more files than the limits allow, or some could not be read.
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
