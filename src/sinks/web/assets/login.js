// The page to log in with. The session is a cookie that no script can read.

const find = (id) => document.getElementById(id);

find("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = event.target.querySelector("button");
  button.disabled = true;
  find("told").textContent = "";
  try {
    const answer = await fetch("api/v1/login", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ name: find("name").value, password: find("password").value }),
    });
    if (answer.ok) { location.reload(); return; }
    find("told").textContent = await answer.text();
  } catch { find("told").textContent = "no answer, is gantryd running?"; }
  button.disabled = false;
  find("password").value = "";
  find("password").focus();
});

// Behind a link from another site the first request comes without the cookie.
if ((await fetch("api/v1/session").catch(() => null))?.ok && !sessionStorage.getItem("again")) {
  sessionStorage.setItem("again", "1");
  location.reload();
}
