#!/usr/bin/env bash
# check_touched.sh BASE HEAD COMMIT: check the submissions that HEAD (a checkout) touches since COMMIT with the pools of BASE (another),
# then print the table of each pool with the new rows beside the submissions of this project. Exit status 1 if anything has a fault.
# FROM=maintainer: a verification.json is accepted; without it a touched submission that has one is left to a maintainer.
set -euo pipefail
base=$1 head=$2 commit=$3
prm_eval=${PRM_EVAL:-prm-eval}
new=(--new)
[ "${FROM:-}" = maintainer ] && new=()
status=0
merge_base=$(git -C "$head" merge-base "$commit" HEAD)
while IFS= read -r -d '' path; do
  case $path in
    results/submissions/*/*/*/*) ;;
    results/submissions/*) printf 'no file of a submission: %q\n' "$path"; status=1 ;;
    *) printf 'outside of a submission, for a maintainer to look at: %q\n' "$path"
      [ "${FROM:-}" = maintainer ] || status=1 ;;
  esac
done < <(git -C "$head" diff -z --name-only "$merge_base" HEAD -- results)

# the registry and the pools are the base branch's: a request cannot bring the pool it is checked against
rm -rf "$head/results/pools"
cp -r "$base/results/pools" "$head/results/pools"
declare -A table
while IFS= read -r -d '' folder; do
  [ -d "$head/$folder" ] || { printf 'removed: %q\n' "$folder"; continue; }
  echo '```'
  if "$prm_eval" check "$head/$folder" "${new[@]}"; then
    pool=${folder##*/}
    table[$pool]+="$head/$folder"$'\n'
  else
    status=1
  fi
  echo '```'
done < <(git -C "$head" diff -z --name-only "$merge_base" HEAD -- results/submissions | cut -z -d/ -f1-5 | sort -zu)

# names that differ by case and copies of another's rewards are seen only beside what is there already
cp -rn "$base/results/submissions/." "$head/results/submissions/"
if { "$prm_eval" check "$head/results" || true; } | grep -E '\[(name|copy)\]'; then status=1; fi

for pool in "${!table[@]}"; do
  mapfile -t rows <<<"${table[$pool]%$'\n'}"
  references=()
  for each in "$base"/results/submissions/prm_eval__*/*/"$pool"; do
    own=$head/${each#"$base"/}
    if [ -d "$each" ] && [[ ${table[$pool]} != *"$own"$'\n'* ]]; then references+=("$each"); fi
  done
  printf '\nOn %s, with the references of this project:\n\n```\n' "$pool"
  "$prm_eval" evaluate "$base/results/pools/$pool" "${references[@]}" "${rows[@]}"
  echo '```'
done
exit "$status"
