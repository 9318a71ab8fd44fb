// A task for Claude Code through the Agent SDK; prints every message that the SDK hands on, one a line.
import { query } from "@anthropic-ai/claude-agent-sdk";

const [executable, prompt] = process.argv.slice(2);
const messages = query({
  prompt,
  options: {
    pathToClaudeCodeExecutable: executable,
    allowedTools: ["Read", "Edit", "Write", "Bash"],
    includePartialMessages: true,
  },
});
for await (const message of messages) console.log(JSON.stringify(message));
