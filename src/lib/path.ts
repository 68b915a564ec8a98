/** Names of files. */

/** `name` as it is when it is absolute, else below the absolute `folder`; `.` and `..` are taken out. */
export function absolutePath(folder: string, name: string): string {
  const whole = name.startsWith("/") ? name : `${folder}/${name}`;
  const parts: string[] = [];
  for (const part of whole.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/** What a daemon whose vrrp role has this pid file leaves to the one after it, should it crash. */
export function stateFileOf(pidFile: string): string {
  return `${pidFile.replace(/\.pid$/, "")}.state`;
}

/** What stands behind the last slash. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
