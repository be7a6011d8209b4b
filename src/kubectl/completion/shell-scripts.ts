/** What `kubectl completion SHELL` prints: each script asks `kubectl __complete` and shows what it says. */

const bash = `# bash completion for kubectl: source <(kubectl completion bash)
__kubectl_candidates() {
  local cur words cword
  if declare -F _get_comp_words_by_ref >/dev/null; then
    _get_comp_words_by_ref -n "=:" cur words cword
  else
    words=("\${COMP_WORDS[@]}") cword=$COMP_CWORD cur=\${COMP_WORDS[COMP_CWORD]}
  fi
  local lines line directive=0
  COMPREPLY=()
  mapfile -t lines < <("\${words[0]}" __complete "\${words[@]:1:cword-1}" "$cur" 2>/dev/null)
  for line in "\${lines[@]}"; do
    case $line in
      :[0-9]*) directive=\${line#:} ;;
      *) COMPREPLY+=("\${line%%$'\\t'*}") ;;
    esac
  done
  # With several to choose from, what they are is shown beside them.
  if ((\${#COMPREPLY[@]} > 1)) && [[ \${COMP_TYPE:-} == 63 ]]; then
    COMPREPLY=()
    for line in "\${lines[@]}"; do
      case $line in
        :[0-9]*) ;;
        *$'\\t'*) COMPREPLY+=("$(printf '%-24s (%s)' "\${line%%$'\\t'*}" "\${line#*$'\\t'}")") ;;
        *) COMPREPLY+=("$line") ;;
      esac
    done
  fi
  declare -F __ltrim_colon_completions >/dev/null && __ltrim_colon_completions "$cur"
  if ((directive & 4)) || ((\${#COMPREPLY[@]} > 0)); then compopt +o default 2>/dev/null; else compopt -o default 2>/dev/null; fi
  if ((directive & 2)) || [[ \${#COMPREPLY[@]} == 1 && \${COMPREPLY[0]} == */ ]]; then compopt -o nospace 2>/dev/null; fi
}
complete -o default -F __kubectl_candidates kubectl
`;

const zsh = `#compdef kubectl
compdef _kubectl kubectl

# zsh completion for kubectl: source <(kubectl completion zsh)
_kubectl() {
  local line directive=0 name
  local -a candidates
  for line in "\${(@f)$("\${words[1]}" __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    if [[ $line == :[0-9]* ]]; then
      directive=\${line#:}
    elif [[ -n $line ]]; then
      name=\${line%%$'\\t'*}
      name=\${name//:/\\\\:}
      if [[ $line == *$'\\t'* ]]; then candidates+=("$name:\${line#*$'\\t'}"); else candidates+=("$name"); fi
    fi
  done
  if (( \${#candidates} )); then
    _describe kubectl candidates
  elif (( ! (directive & 4) )); then
    _files
  fi
}

if [ "$funcstack[1]" = "_kubectl" ]; then _kubectl; fi
`;

const fish = `# fish completion for kubectl: kubectl completion fish | source
function __kubectl_candidates
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l lines ($words[1] __complete $words[2..-1] "$current" 2>/dev/null)
    set -l directive 0
    if string match -qr '^:[0-9]+$' -- "$lines[-1]"
        set directive (string sub -s 2 -- "$lines[-1]")
        set -e lines[-1]
    end
    if test (count $lines) -gt 0
        printf '%s\\n' $lines
    else if test $directive -ne 4
        __fish_complete_path "$current"
    end
end

complete -c kubectl -e
complete -c kubectl -f -a '(__kubectl_candidates)'
`;

const powershell = `# PowerShell completion for kubectl: kubectl completion powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName 'kubectl' -ScriptBlock {
    param($WordToComplete, $CommandAst, $CursorPosition)
    $Words = @($CommandAst.CommandElements | Where-Object { $_.Extent.EndOffset -lt $CursorPosition -or -not $WordToComplete } | ForEach-Object { "$_" })
    $Program = $Words[0]
    $Before = @($Words | Select-Object -Skip 1)
    $Lines = @(& $Program __complete @Before "$WordToComplete" 2>$null)
    foreach ($Line in $Lines) {
        if ($Line -match '^:[0-9]+$') { continue }
        $Name, $About = $Line -split "\`t", 2
        if (-not $About) { $About = $Name }
        [System.Management.Automation.CompletionResult]::new($Name, $Name, 'ParameterValue', $About)
    }
}
`;

export const shellScripts: Readonly<Record<string, string>> = { bash, zsh, fish, powershell };
