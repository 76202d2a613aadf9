// Checks, here in the browser, that a record is in the tree that a signed checkpoint vouches for.
//
// RFC 6962 / RFC 9162 (hashes, inclusion proofs), C2SP tlog-proof, tlog-checkpoint, signed-note.
// Nothing that the service says about the outcome is believed: only its bytes are read. But this file
// comes from the service too: whoever does not trust it checks with a program from elsewhere.
//
// What is refused is what `ledger` and verify_evidence.py refuse: one thing has one spelling. The three
// are held to one list of vectors (tests/ledger/verifier_vectors.json).

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const ED25519 = 0x01;
const COSIGNATURE = 0x04;
const MAX_SIZE = 2n ** 63n - 1n;
const MAX_SIGNATURES = 100;
// Unicode white space as Python's str.isspace() has it, controls, and the plus.
const NAME = /^[^+\u0000-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+$/u;

export class Wrong extends Error {}

function hex(bytes) {
  return [...bytes].map((each) => each.toString(16).padStart(2, "0")).join("");
}

function joined(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, each) => sum + each.length, 0));
  let at = 0;
  for (const each of parts) {
    whole.set(each, at);
    at += each.length;
  }
  return whole;
}

async function sha256(...parts) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", joined(...parts)));
}

function base64(text, what) {
  let raw;
  try {
    raw = atob(text);
  } catch {
    throw new Wrong(`${what} is not base64`);
  }
  if (btoa(raw) !== text) throw new Wrong(`${what} is not spelled the one way that base64 has`);
  return Uint8Array.from(raw, (each) => each.charCodeAt(0));
}

function decimal(text, what) {
  if (!/^(0|[1-9][0-9]{0,18})$/.test(text)) throw new Wrong(`${what} is not a number`);
  if (BigInt(text) > MAX_SIZE) throw new Wrong(`${what} is too large`);
  return BigInt(text);
}

function utf8(bytes, what) {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new Wrong(`${what} is not text`);
  }
}

// A `.tlog-proof` file: the way up, and the checkpoint that it leads to.
function parseProof(text) {
  const at = text.indexOf("\n\n");
  if (at < 0) throw new Wrong("the proof has no checkpoint");
  const [header, ...lines] = text.slice(0, at).split("\n");
  if (header !== "c2sp.org/tlog-proof@v1") throw new Wrong("this is not a proof file");
  if (lines[0]?.startsWith("extra ") && !base64(lines.shift().slice(6), "the extra data").length) {
    throw new Wrong("the extra data is empty");
  }
  const index = lines.shift();
  if (!index?.startsWith("index ")) throw new Wrong("the proof does not say which record");
  const path = lines.map((each) => base64(each, "a hash of the proof"));
  if (path.some((each) => each.length !== 32)) throw new Wrong("a hash of the proof has another length");
  return { index: decimal(index.slice(6), "the index"), path, note: text.slice(at + 2) };
}

// A signed note: a text that ends before its last empty line, and who signed it; nothing after that.
function parseNote(note) {
  const at = note.lastIndexOf("\n\n");
  if (at < 0 || !note.endsWith("\n")) throw new Wrong("the checkpoint is not signed, or cut");
  if (/[\u0000-\u0009\u000b-\u001f]/.test(note)) throw new Wrong("the checkpoint has control characters");
  const signatures = note.slice(at + 2, -1).split("\n").map(parseSignature);
  const signers = new Set(signatures.map((each) => `${each.name} ${hex(each.id)}`));
  if (signers.size !== signatures.length || signers.size > MAX_SIGNATURES) {
    throw new Wrong("the checkpoint is signed twice by one key, or by too many");
  }
  return { text: note.slice(0, at + 1), signatures };
}

function parseSignature(line) {
  const [dash, name, encoded, ...more] = line.split(" ");
  if (dash !== "—" || !NAME.test(name ?? "") || encoded === undefined || more.length) {
    throw new Wrong("something else stands where the signatures of the checkpoint stand");
  }
  const bytes = base64(encoded, "a signature");
  if (bytes.length < 5) throw new Wrong("a signature is too short");
  return { name, id: bytes.slice(0, 4), signature: bytes.slice(4) };
}

// A checkpoint: whose it is, how many records, and their root; perhaps more lines, none empty.
async function parseCheckpoint(note) {
  const { text, signatures } = parseNote(note);
  const [origin, size, root, ...rest] = text.slice(0, -1).split("\n");
  if (root === undefined || !origin || rest.includes("")) throw new Wrong("this is not a checkpoint");
  const found = { text, signatures, origin, size: decimal(size, "the checkpoint's size"), root: base64(root, "the root") };
  if (found.root.length !== 32 || (found.size === 0n && hex(found.root) !== hex(await sha256()))) {
    throw new Wrong("the checkpoint has no root that fits its size");
  }
  return found;
}

// `name+hex(id)+base64(type + key)`; the id must be that of the name and the key.
async function parseKey(text, type = ED25519) {
  const [name, hash, ...rest] = text.split("+");
  if (!NAME.test(name) || !rest.length) throw new Wrong("this is not a public key of a ledger: name+hash+key");
  const bytes = base64(rest.join("+"), "the key");
  if (bytes[0] !== type || bytes.length !== 33) throw new Wrong(`this is no Ed25519 key of type ${type}`);
  const id = (await sha256(encoder.encode(`${name}\n`), bytes)).slice(0, 4);
  if (hex(id) !== hash) throw new Wrong("the key was copied wrongly: its hash does not fit");
  return { name, id, bytes: bytes.slice(1) };
}

// Whether the key signed; null where the browser has no Ed25519. The signature that it checked.
async function signatureBy(key, note) {
  if (note.origin !== key.name) {
    throw new Wrong(`the checkpoint is of ${note.origin}, and the key of ${key.name}`);
  }
  const own = note.signatures.find((each) => each.name === key.name && hex(each.id) === hex(key.id));
  if (!own) throw new Wrong("the checkpoint is not signed with this key");
  const isGood = await isSigned(key, own.signature, note.text);
  if (isGood === null) return null;
  if (!isGood) throw new Wrong("the signature is not that of this key");
  return own.signature;
}

async function isSigned(key, signature, text) {
  let imported;
  try {
    imported = await crypto.subtle.importKey("raw", key.bytes, "Ed25519", false, ["verify"]);
  } catch (error) {
    if (error.name === "NotSupportedError") return null;
    throw new Wrong("the key is not a point of the curve");
  }
  return crypto.subtle.verify("Ed25519", imported, signature, encoder.encode(text));
}

// C2SP tlog-cosignature: eight bytes of time, and a signature of the time and the text. Which of these
// witnesses signed, and when; one public key counts once, whatever its names.
async function cosignersOf(note, witnesses) {
  const found = new Map();
  for (const witness of witnesses) {
    const own = note.signatures.find((each) => each.name === witness.name && hex(each.id) === hex(witness.id));
    if (!own) continue;
    const time = own.signature.length === 72 ? new DataView(own.signature.buffer).getBigUint64(0) : MAX_SIZE + 1n;
    const text = `cosignature/v1\ntime ${time}\n${note.text}`;
    if (time > MAX_SIZE || !(await isSigned(witness, own.signature.slice(8), text))) {
      throw new Wrong(`the cosignature of ${witness.name} does not fit`);
    }
    found.set(hex(witness.bytes), [witness.name, new Date(Number(time) * 1000)]);
  }
  return [...found.values()];
}

async function parseWitnesses(texts) {
  return Promise.all(texts.map((each) => parseKey(each, COSIGNATURE)));
}

async function requireQuorum(note, witnessTexts, quorum) {
  const cosigners = await cosignersOf(note, await parseWitnesses(witnessTexts));
  if (cosigners.length < quorum) {
    throw new Wrong(`${cosigners.length} of ${witnessTexts.length} witnesses cosigned; ${quorum} are needed`);
  }
  return cosigners;
}

// For tests and for scripts: throws Wrong unless everything fits.
export async function checkCheckpoint(noteBytes, keyText, witnessTexts = [], quorum = 0) {
  const note = await parseCheckpoint(utf8(noteBytes, "the checkpoint"));
  if (!(await signatureBy(await parseKey(keyText), note))) throw new Error("no Ed25519 here");
  await requireQuorum(note, witnessTexts, quorum);
  return note;
}

export async function checkProof(record, index, proofBytes, keyText, witnessTexts = [], quorum = 0) {
  const proof = parseProof(utf8(proofBytes, "the proof"));
  const note = await checkCheckpoint(encoder.encode(proof.note), keyText, witnessTexts, quorum);
  if (proof.index !== BigInt(index)) throw new Wrong("the proof is of another record");
  const leaf = await sha256(Uint8Array.of(0), record);
  const root = await climb(leaf, proof.index, note.size, proof.path, () => {});
  if (hex(root) !== hex(note.root)) throw new Wrong("the way up does not lead to the root");
}

// RFC 9162, 2.1.3.2: from a leaf up to the root, telling each step.
async function climb(leaf, index, size, path, tell) {
  if (index >= size) throw new Wrong(`a tree of ${size} records has no record ${index}`);
  let [position, last, computed] = [index, size - 1n, leaf];
  for (const sibling of path) {
    if (last === 0n) throw new Wrong("the proof is too long");
    const isRight = (position & 1n) === 1n || position === last;
    const pair = isRight ? [sibling, computed] : [computed, sibling];
    computed = await sha256(Uint8Array.of(1), ...pair);
    tell(isRight, sibling, computed);
    if (isRight) {
      while ((position & 1n) === 0n && position !== 0n) {
        position >>= 1n;
        last >>= 1n;
      }
    }
    position >>= 1n;
    last >>= 1n;
  }
  if (last !== 0n) throw new Wrong("the proof is too short");
  return computed;
}

class Report {
  constructor(place) {
    this.list = place.querySelector("[data-steps]");
    this.verdict = place.querySelector("[data-verdict]");
    this.list.replaceChildren();
    this.say("", "Working …");
  }

  step(tone, title, about, hashes = []) {
    const item = document.createElement("li");
    item.className = `step ${tone}`;
    const heading = document.createElement("h3");
    heading.textContent = title;
    const text = document.createElement("p");
    text.textContent = about;
    item.append(heading, text);
    for (const [name, value] of hashes) {
      const line = document.createElement("p");
      line.className = "help";
      const code = document.createElement("code");
      code.textContent = value;
      line.append(`${name} `, code);
      item.append(line);
    }
    this.list.append(item);
  }

  say(tone, text) {
    this.verdict.className = `notice ${tone}`;
    this.verdict.textContent = text;
    this.verdict.hidden = false;
  }
}

async function read(address) {
  const answer = await fetch(address, { cache: "no-store" });
  const bytes = new Uint8Array(await answer.arrayBuffer());
  if (answer.ok) return bytes;
  let told = `${answer.status} ${answer.statusText}`;
  try {
    told = JSON.parse(decoder.decode(bytes)).detail;
  } catch {
    // the status says enough
  }
  throw new Error(told);
}

async function checkSignature(report, note, keyText) {
  if (!keyText.trim()) {
    report.step("", "4. The signature", "Not checked: paste the ledger's public key above.");
    return false;
  }
  const key = await parseKey(keyText.trim());
  const signature = await signatureBy(key, note);
  if (signature === null) {
    report.step(
      "",
      "4. The signature",
      "Not checked: this browser has no Ed25519. Check the record in a bundle of evidence, with verify_evidence.py.",
    );
    return false;
  }
  report.step("ok", "4. The signature", `The checkpoint was signed with the key of ${key.name}.`, [
    ["Ed25519 key", hex(key.bytes)],
    ["signature", hex(signature)],
  ]);
  return true;
}

// The names of the witnesses that cosigned, of those whose keys were pasted; all of them must have.
async function checkWitnesses(report, note, texts) {
  if (!texts.length) return [];
  const cosigners = await requireQuorum(note, texts, texts.length);
  const when = cosigners.map(([name, time]) => [name, time.toISOString()]);
  report.step("ok", "5. The witnesses", "Each saw this checkpoint, and that it continues what it saw before.", when);
  return cosigners.map(([name]) => name);
}

async function prove(place) {
  const report = new Report(place);
  let step = "1. The record";
  try {
    if (!crypto.subtle) throw new Error("this browser has WebCrypto only over HTTPS, or at this machine");
    const own = place.querySelector("[data-own]").value.trim();
    const record = own ? encoder.encode(own) : await read(place.dataset.record);
    const leaf = await sha256(Uint8Array.of(0), record);
    report.step(
      hex(leaf) === place.dataset.leaf ? "ok" : "bad",
      step,
      `${record.length} bytes${own ? ", as you gave them" : ""}. The leaf is SHA-256 of a zero byte and the record.`,
      [["leaf", hex(leaf)], ["in the ledger", place.dataset.leaf]],
    );
    step = "2. The way up";
    const proof = parseProof(utf8(await read(place.dataset.proof), "the proof"));
    const note = await parseCheckpoint(proof.note);
    if (proof.index !== BigInt(place.dataset.position) - 1n) throw new Wrong("the proof is of another record");
    const way = [];
    const root = await climb(leaf, proof.index, note.size, proof.path, (isRight, sibling, computed) => {
      way.push([`with ${hex(sibling).slice(0, 12)}… on the ${isRight ? "left" : "right"}:`, hex(computed)]);
    });
    report.step("ok", step, `${proof.path.length} hashes lead from this leaf to a root, pair by pair.`, way);
    step = "3. The root";
    if (hex(root) !== hex(note.root)) {
      throw new Wrong("the way up from this record does not lead to the checkpoint's root: it is not this record that is in the ledger");
    }
    report.step("ok", step, `It is the root that the checkpoint of ${note.origin} has for ${note.size} events.`, [
      ["computed", hex(root)],
      ["checkpoint", hex(note.root)],
    ]);
    step = "4. The signature";
    if (await checkSignature(report, note, place.querySelector("[data-key]").value)) {
      step = "5. The witnesses";
      const texts = place.querySelector("[data-witnesses]").value.split(/\s+/).filter(Boolean);
      const names = await checkWitnesses(report, note, texts);
      const seen = names.length ? `, and that ${names.join(", ")} cosigned` : "";
      report.say("ok", `Proved: this very record is in the ledger that the key's owner signed${seen}.`);
    } else {
      report.say("warn", "The record is in the tree of the checkpoint. Who signed the checkpoint was not checked.");
    }
  } catch (error) {
    report.step("bad", step, error.message);
    const isWrong = error instanceof Wrong;
    report.say("bad", isWrong ? "NOT proved. See the last step." : `Could not be checked: ${error.message}`);
  }
}

for (const place of globalThis.document?.querySelectorAll("[data-prove]") ?? []) {
  place.querySelector("[data-start]")?.addEventListener("click", () => prove(place));
}
