// How many signatures Node's own crypto checks in a second: `webhooks.js FILE` prints JSON lines.
const crypto = require("node:crypto");
const fs = require("node:fs");

const material = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const bodies = material.bodies.map((body) => Buffer.from(body));
for (const { scheme, key, signatures } of material.schemes) {
  if (scheme === "hmac-sha256") continue;
  const spki = Buffer.from(key, "base64");
  const parsed = crypto.createPublicKey({ key: spki, format: "der", type: "spki" });
  const decoded = signatures.map((text) => Buffer.from(text, "base64"));
  const algorithm = scheme === "ed25519" ? null : "sha256";
  const rates = [];
  for (let turn = 0; turn < 5; turn++) {
    const start = process.hrtime.bigint();
    for (let pass = 0; pass < 10; pass++) {
      for (let i = 0; i < bodies.length; i++) {
        if (!crypto.verify(algorithm, bodies[i], parsed, decoded[i])) {
          throw new Error("a genuine signature");
        }
      }
    }
    rates.push((10 * bodies.length * 1e9) / Number(process.hrtime.bigint() - start));
  }
  const value = rates.sort((a, b) => a - b)[2];
  const line = { bench: "webhook_verify", via: "node", n: 2048, value, unit: "1/s" };
  console.log(JSON.stringify({ ...line, scheme, stage: "primitive" }));
}
