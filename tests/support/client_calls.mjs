// One question to the endpoint by the official JavaScript client: node client_calls.mjs BASE_URL stream|whole.
// Run by tests/serve/test_clients.py where the package is installed (make clients).
import { createRequire } from "node:module";

const [baseURL, mode, packages] = process.argv.slice(2);
const OpenAI = createRequire(`${packages}/`)("openai");
const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
const messages = [{ role: "user", content: "What is 2 + 3?" }];
let text = "";
let model;
if (mode === "stream") {
  for await (const chunk of await client.chat.completions.create({ model: "auto", messages, stream: true })) {
    text += chunk.choices[0]?.delta?.content ?? "";
    model = chunk.model;
  }
} else {
  const answer = await client.chat.completions.create({ model: "auto", messages });
  text = answer.choices[0].message.content;
  model = answer.model;
}
console.log(JSON.stringify({ text, model }));
