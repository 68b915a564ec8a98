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

/** Where a daemon, one of whose roles has this pid file, keeps what the one after it is to know of that role. */
export function stateFileOf(pidFile: string): string {
  return `${pidFile.replace(/\.pid$/, "")}.state`;
}

/** What stands behind the last slash. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** The folder of an absolute path. */
export function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}
