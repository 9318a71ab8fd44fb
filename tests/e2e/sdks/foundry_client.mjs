// Conversations through npm's @anthropic-ai/foundry-sdk; prints what they decoded.
// What tests/e2e/sdks/tools.py says comes as JSON on standard input.
import { readFileSync } from "node:fs";

import { AnthropicFoundry } from "@anthropic-ai/foundry-sdk";
import { EnvHttpProxyAgent, setGlobalDispatcher } from "undici";

// It waits 10 s for a hand to be shaken, and then the SDK says in a header that it tries again.
setGlobalDispatcher(new EnvHttpProxyAgent({ requestTls: { timeout: 300_000 } }));

const { questions, instructions, parameters, results } = JSON.parse(readFileSync(0, "utf8"));
const credentials = {
  key: { apiKey: "made-up-key" },
  bearer: { azureADTokenProvider: async () => "made-up-token" },
};

async function talk(client, question, stream) {
  const decoded = [];
  const ask = {
    model: "my-claude",
    max_tokens: 1000,
    system: instructions,
    tools: Object.entries(parameters).map(([name, schema]) => ({ name, input_schema: schema })),
    messages: [{ role: "user", content: question }],
  };
  const { model, messages, system, tools } = ask;
  decoded.push(await client.messages.countTokens({ model, messages, system, tools }));
  for (let ended = false; !ended; ) {
    let answer;
    if (stream) {
      const events = client.messages.stream(ask);
      const seen = [];
      for await (const event of events) seen.push(event);
      decoded.push(seen);
      answer = await events.finalMessage();
    } else {
      answer = await client.messages.create(ask);
    }
    decoded.push(answer);
    const calls = answer.content.filter((block) => block.type === "tool_use");
    ask.messages.push({ role: "assistant", content: answer.content });
    ask.messages.push({
      role: "user",
      content: calls.map(({ id, name, input }) => ({
        type: "tool_result",
        tool_use_id: id,
        content: results[`${name} ${Object.values(input)[0]}`],
      })),
    });
    ended = calls.length === 0;
  }
  try {
    await client.messages.create({ ...ask, model: "missing", messages: ask.messages.slice(0, 1) });
  } catch (error) {
    decoded.push({ error: error.constructor.name, status: error.status, body: error.error });
  }
  return decoded;
}

const found = {};
for (const [variant, question] of Object.entries(questions)) {
  const [credential, form] = variant.split(" ");
  const client = new AnthropicFoundry({ resource: "my-resource", ...credentials[credential] });
  found[variant] = await talk(client, question, form === "stream");
}
console.log(JSON.stringify(found));
