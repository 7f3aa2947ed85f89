"use strict";
// The invitation's secret stands behind the #, which browsers send to no server and write into no log.
const token = location.hash.slice(1);
const outcome = document.getElementById("outcome");

async function accept(body) {
  outcome.textContent = "…";
  let answer, said;
  try {
    answer = await fetch("/api/v1/invitations/accept", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token, ...body }),
    });
    said = await answer.json();
  } catch {
    outcome.textContent = "No answer came: look at your connection, and try again.";
    return;
  }
  if (!answer.ok) {
    outcome.textContent = said.detail;
    return;
  }
  history.replaceState(null, "", location.pathname);
  document.getElementById("new").remove();
  document.getElementById("known").remove();
  outcome.textContent = `Welcome, ${said.user.name}: you are ${said.role} of ${said.organization.name}.`;
}

document.getElementById("new").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = document.getElementById("name").value.trim();
  accept({ password: document.getElementById("password").value, ...(name && { name }) });
});
document.getElementById("known").addEventListener("click", () => accept({}));
