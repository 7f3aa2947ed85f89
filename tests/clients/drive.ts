// Drives the API through types that were generated from its document: create, wait, list, back up, delete.
// Takes the API's address and a token from the environment (PORTICO, TOKEN).
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

declare const process: { env: Record<string, string> };
type Operation = components["schemas"]["Operation"];

const client = createClient<paths>({
  baseUrl: process.env.PORTICO,
  headers: { Authorization: `Bearer ${process.env.TOKEN}` },
});

function check(holds: boolean, what: unknown): asserts holds {
  if (!holds) throw new Error(JSON.stringify(what));
}

async function finished(answer: { data?: Operation; error?: unknown }): Promise<Operation> {
  check(answer.data !== undefined, answer.error);
  let operation: Operation = answer.data;
  while (operation.status === "queued" || operation.status === "running") {
    const params = { path: { operation: operation.id }, query: { wait: "30s" } };
    const { data, error } = await client.GET("/operations/{operation}", { params });
    check(data !== undefined, error);
    operation = data;
  }
  check(operation.status === "succeeded", operation);
  return operation;
}

async function drive(): Promise<void> {
  const body = { connection: "sandbox", name: "By TypeScript" };
  const created = await client.POST("/sites", { body, params: { header: { Prefer: "respond-async" } } });
  const site = ((await finished(created)).result as components["schemas"]["Site"]).id;
  const path = { site };
  const { data: listed } = await client.GET("/sites", { params: { query: { name: "by typescript" } } });
  check(listed?.total === 1 && listed.data[0].id === site, listed);
  const backup = { description: "By TypeScript" };
  await finished(await client.POST("/sites/{site}/backups", { params: { path }, body: backup }));
  const { data: backups } = await client.GET("/sites/{site}/backups", { params: { path } });
  check(backups?.data[0].description === "By TypeScript", backups);
  const removed = await client.DELETE("/sites/{site}", { params: { path } });
  check(removed.data !== undefined, removed.error);
  await finished(removed);
  const { error: gone } = await client.GET("/sites/{site}", { params: { path } });
  check(gone?.status === 404 && gone.code === "not_found", gone);
  console.log("typescript: done");
}

drive();
