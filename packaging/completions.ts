/**
 * Completions for bash, zsh and fish, made from the tables that the command line is read by. As
 * keepalived only the daemon's options are offered, as upkeep the verbs too.
 */

import { optionGroups } from "../src/cli/options.ts";
import { outlineVerbs } from "../src/cli/verbs.ts";

/** An option as a shell sees it. */
interface Flag {
  /** `-p`, if there is a short form. */
  readonly short: string | undefined;
  /** `--pid`, if there is a long form. */
  readonly long: string | undefined;
  readonly value: "none" | "required" | "optional";
  /** FILE, SECONDS … */
  readonly placeholder: string;
  readonly purpose: string;
}

interface Verb {
  readonly name: string;
  readonly purpose: string;
  readonly flags: readonly Flag[];
  /** It takes files as arguments. */
  readonly takesFiles: boolean;
}

const daemonFlags: readonly Flag[] = optionGroups.flatMap(({ options }) =>
  options.map(({ usage, purpose }) => flagOf(usage.trim(), purpose))
);

/** From `-p, --pid=FILE`, `-t, --config-test[=LOGFILE]`, `--config <FILE...>` and their like. */
function flagOf(usage: string, purpose: string): Flag {
  const value = /(\[?)[ =]<?([\w|[\].,]+?)(?:\.{3})?>?\]?$/.exec(usage);
  return {
    short: /(?:^|\s)(-\w)\b/.exec(usage)?.[1],
    long: /--[\w-]+/.exec(usage)?.[0],
    value: value === null || value[2]?.startsWith("-")
      ? "none"
      : value[1]
      ? "optional"
      : "required",
    placeholder: value?.[2] ?? "",
    purpose,
  };
}

function verbs(): Verb[] {
  return outlineVerbs().map(({ name, purpose, argument, options }) => ({
    name,
    purpose,
    takesFiles: argument.includes("file"),
    flags: options.map((option) => flagOf(option.flags, option.purpose)),
  }));
}

function words(flags: readonly Flag[]): string {
  return flags.flatMap(({ short, long, value }) => [
    ...(short === undefined ? [] : [short]),
    ...(long === undefined ? [] : [value === "required" ? `${long}=` : long]),
  ]).join(" ");
}

function isFile({ placeholder }: Flag): boolean {
  return /FILE|PATTERN/.test(placeholder);
}

/** For bash-completion, under either name. */
export function bashCompletion(): string {
  const files = daemonFlags.filter((flag) => flag.value === "required" && isFile(flag));
  const all = verbs();
  const cases = all.filter(({ flags }) => flags.length > 0).map(({ name, flags }) =>
    `      ${name}) words="${words(flags)}" ;;\n`
  );
  const filing = all.filter(({ takesFiles }) => takesFiles).map(({ name }) => name).join("|");
  return `# bash completion for upkeep and keepalived; made from the option table.

_upkeep() {
  local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} words
  compopt +o nospace 2>/dev/null
  # bash takes the = of --pid=FILE for a word of its own.
  if [[ $current == = ]]; then
    current=
  elif [[ $before == = && COMP_CWORD -gt 1 ]]; then
    before=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  case $before in
    ${files.flatMap(({ short, long }) => [short, long]).filter(Boolean).join("|")})
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      compopt -o filenames 2>/dev/null
      return
      ;;
    --signum)
      mapfile -t COMPREPLY < <(compgen -W "STOP RELOAD DATA STATS STATS_CLEAR JSON" -- "$current")
      return
      ;;
  esac
  if [[ \${COMP_WORDS[0]##*/} == upkeep && COMP_CWORD -gt 1 && $current != -* ]]; then
    case \${COMP_WORDS[1]} in
      ${filing})
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        compopt -o filenames 2>/dev/null
        return
        ;;
    esac
  fi
  words="${words(daemonFlags)}"
  if [[ \${COMP_WORDS[0]##*/} == upkeep ]]; then
    case \${COMP_WORDS[1]} in
${cases.join("")}      help) words="${all.map(({ name }) => name).join(" ")}" ;;
      *) ((COMP_CWORD == 1)) && [[ $current != -* ]] && words="${
    all.map(({ name }) => name).join(" ")
  }" ;;
    esac
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  if [[ \${COMPREPLY[0]} == *= ]]; then compopt -o nospace 2>/dev/null; fi
}

complete -F _upkeep upkeep keepalived
`;
}

/** For zsh's function path, as _upkeep. */
export function zshCompletion(): string {
  const all = verbs();
  const cases = all.filter(({ flags }) => flags.length > 0).map(({ name, flags, takesFiles }) =>
    `    ${name}) _arguments ${flags.map(zshFlag).join(" ")}${
      takesFiles ? " '*:file:_files'" : ""
    } ;;\n`
  );
  return `#compdef upkeep keepalived
# zsh completion for upkeep and keepalived; made from the option table.

if [[ \${service} == upkeep && \${words[2]} != -* ]]; then
  if (( CURRENT == 2 )); then
    local -a verbs=(${all.map(({ name, purpose }) => quote(`${name}:${purpose}`)).join(" ")})
    _describe verb verbs
    return
  fi
  local verb=\${words[2]}
  shift words
  (( CURRENT-- ))
  case $verb in
${cases.join("")}    help) _values verb ${all.map(({ name }) => name).join(" ")} ;;
  esac
  return
fi

_arguments -s -S \\
  ${daemonFlags.map(zshFlag).join(" \\\n  ")}
`;
}

function zshFlag(flag: Flag): string {
  const { short, long, value, placeholder } = flag;
  const purpose = flag.purpose.replace(/[[\]:]/g, "\\$&");
  const action = isFile(flag) ? "_files" : " ";
  const argument = value === "none"
    ? ""
    : `:${value === "optional" ? ":" : ""}${placeholder.replaceAll(/[[\]:]/g, "")}:${action}`;
  const forms = [
    ...(short === undefined ? [] : [value === "optional" ? `${short}-` : short]),
    ...(long === undefined
      ? []
      : [value === "none" ? long : value === "optional" ? `${long}=-` : `${long}=`]),
  ];
  const both = [short, long].filter(Boolean).join(" ");
  return forms.map((form) => quote(`(${both})${form}[${purpose}]${argument}`)).join(" ");
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** For fish, under the name it is asked for. */
export function fishCompletion(name: "upkeep" | "keepalived"): string {
  const isVerb = name === "upkeep";
  const noVerb = isVerb ? "-n __fish_use_subcommand " : "";
  const lines = daemonFlags.map((flag) => fishFlag(name, noVerb, flag));
  for (const verb of isVerb ? verbs() : []) {
    lines.push(`complete -c ${name} ${noVerb}-f -a ${verb.name} -d ${fishQuote(verb.purpose)}`);
    const inside = `-n '__fish_seen_subcommand_from ${verb.name}' `;
    for (const flag of verb.flags) lines.push(fishFlag(name, inside, flag));
  }
  return `# fish completion for ${name}; made from the option table.\n\n${lines.join("\n")}\n`;
}

function fishFlag(name: string, condition: string, flag: Flag): string {
  const { short, long, value, purpose } = flag;
  const forms = [
    ...(short === undefined ? [] : [`-s ${short.slice(1)}`]),
    ...(long === undefined ? [] : [`-l ${long.slice(2)}`]),
    ...(value === "required" ? [isFile(flag) ? "-r -F" : "-x"] : []),
  ];
  return `complete -c ${name} ${condition}${forms.join(" ")} -d ${fishQuote(purpose)}`;
}

function fishQuote(text: string): string {
  return `'${text.replace(/[\\']/g, "\\$&")}'`;
}
