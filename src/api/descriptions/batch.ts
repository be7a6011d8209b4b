/** What the types and fields of batch are for. The notation is in ./index.ts. */
export const batch = `
= CronJob: Makes a Job again and again, at certain times.
spec: When, and which Job.
status: What it has done.
= CronJobList: CronJobs.
= CronJobSpec: When, and which Job.
schedule: Minute, hour, day, month and weekday, as cron has them: "*/5 * * * *". Or @hourly, @daily, @weekly, @monthly, @yearly.
timeZone: In which time zone the schedule is meant, as in Asia/Seoul; the controller's by default.
startingDeadlineSeconds: A start that is later than this is left out.
concurrencyPolicy: When the Job before still runs: Allow (the default), Forbid (leave this one out) or Replace (end that one).
suspend: True: no more starts. Jobs that run go on.
jobTemplate: The Jobs it makes.
successfulJobsHistoryLimit: How many Jobs that succeeded are kept; 3 by default.
failedJobsHistoryLimit: How many Jobs that failed are kept; 1 by default.
= CronJobStatus: What a CronJob has done.
active: Its Jobs that run.
lastScheduleTime: When it last made one.
lastSuccessfulTime: When one last succeeded.

= Job: Runs pods until enough of them have succeeded.
spec: Which pods, and how often.
status: How far it has come.
= JobCondition: A finding about a Job: Complete, Failed, Suspended, SuccessCriteriaMet, FailureTarget.
lastProbeTime: When it was last looked at.
= JobList: Jobs.
= JobSpec: Which pods, and how often.
parallelism: How many pods may run at a time; 1 by default.
completions: How many pods must succeed. Absent, with parallelism set: when one has succeeded and the others have ended.
activeDeadlineSeconds: After so many seconds it is ended and counts as failed.
podFailurePolicy: What to do when a pod fails in a certain way.
successPolicy: When it counts as done although not all indexes have succeeded; for completionMode Indexed.
backoffLimit: How many pods may fail before it counts as failed; 6 by default.
backoffLimitPerIndex: How many pods may fail for each index; for completionMode Indexed.
maxFailedIndexes: How many indexes may fail before it counts as failed as a whole.
selector: The labels of its pods; the server chooses them.
manualSelector: True: you choose the selector.
template: The pods. Their restartPolicy must be Never or OnFailure.
ttlSecondsAfterFinished: It is deleted so many seconds after it has ended; never by default.
completionMode: NonIndexed (the default), or Indexed: each pod has a number from 0 to completions-1.
suspend: True: no pods run until this is false again.
podReplacementPolicy: When a pod is replaced: TerminatingOrFailed (the default), or Failed: when it has ended for good.
managedBy: Which controller looks after it; Kubernetes' own by default.
= JobStatus: How far a Job has come.
startTime: When it began.
completionTime: When it was done.
active: Pods that run or wait, and are not ending.
succeeded: Pods that have succeeded.
failed: Pods that have failed.
terminating: Pods that are ending.
completedIndexes: The indexes that have succeeded, as in 1,3-5.
failedIndexes: The indexes that have failed, as in 1,3-5.
uncountedTerminatedPods: Pods that have ended and are not in the numbers yet.
ready: Pods that are ready.
= JobTemplateSpec: The Jobs that a CronJob makes.
metadata: Their labels and annotations.
spec: Which pods, and how often.
= PodFailurePolicy: What to do when a pod fails in a certain way.
rules: The first that matches decides; when none does, the failure counts towards backoffLimit.
= PodFailurePolicyOnExitCodesRequirement: Exit codes of containers.
containerName: Which container; all of them when absent.
operator: In or NotIn.
values: The codes.
= PodFailurePolicyOnPodConditionsPattern: A condition of the pod.
type: Its type.
status: Its status; True by default.
= PodFailurePolicyRule: What to do when a pod fails in a certain way.
action: FailJob, FailIndex, Ignore (does not count) or Count.
onExitCodes: When a container's exit code is one of these.
onPodConditions: When the pod has one of these conditions.
= SuccessPolicy: When a Job counts as done.
rules: The first that is met decides.
= SuccessPolicyRule: When a Job counts as done.
succeededIndexes: These indexes have succeeded, as in 1,3-5.
succeededCount: So many have succeeded, of these indexes if they are given.
= UncountedTerminatedPods: Pods that have ended and are not in the numbers yet.
succeeded: The uids of those that succeeded.
failed: The uids of those that failed.
`;
