using System.Text.RegularExpressions;
using k8s;
using k8s.Models;
using YamlDotNet.Core;

namespace Microsoft.ML.Leap.Tests;

/// <summary>What schedulers are given: samples/Kubernetes by the types of Kubernetes' own client, and that shards are numbered as each scheduler numbers its tasks.
/// eng/slurm-check.sh runs samples/Slurm.</summary>
[TestClass]
public class SchedulerSampleTests
{
    public static IEnumerable<string> Manifests => Directory.GetFiles(GetPath("Kubernetes"), "*.yaml").Select(path => Path.GetFileName(path));

    [TestMethod]
    [DynamicData(nameof(Manifests))]
    public void Manifest_EachObject_HasKnownFieldsAlone(string name)
    {
        List<object> objects = Load(File.ReadAllText(GetPath("Kubernetes", name)));

        Assert.IsNotEmpty(objects);
        foreach (object each in objects)
            Assert.IsFalse(string.IsNullOrEmpty(((IKubernetesObject<V1ObjectMeta>)each).Metadata.Name), $"{each} has a name");
    }

    [TestMethod]
    public void Manifest_MisspeltField_IsRefused()
    {
        string text = File.ReadAllText(GetPath("Kubernetes", "score-job.yaml")).Replace("parallelism:", "paralellism:", StringComparison.Ordinal);

        Assert.Throws<YamlException>(() => Load(text));
    }

    [TestMethod]
    public void ScoreJob_Indexes_AreTheShards()
    {
        V1Job job = Load(File.ReadAllText(GetPath("Kubernetes", "score-job.yaml"))).OfType<V1Job>().Single();

        Assert.AreEqual("Indexed", job.Spec.CompletionMode);
        V1Container container = job.Spec.Template.Spec.Containers.Single();
        StringAssert.Contains(string.Join(' ', container.Args), $"--shard \"$((JOB_COMPLETION_INDEX + 1))/{job.Spec.Completions}\"");
        CollectionAssert.AreEqual(
            container.VolumeMounts.Select(mount => mount.Name).ToArray(), job.Spec.Template.Spec.Volumes.Select(volume => volume.Name).ToArray());
    }

    [TestMethod]
    public void ScoreBatch_Array_IsTheShards()
    {
        string text = File.ReadAllText(GetPath("Slurm", "score.sbatch"));

        Assert.AreEqual($"1-{Regex.Match(text, "^shards=(\\d+)$", RegexOptions.Multiline).Groups[1].Value}", Regex.Match(text, @"^#SBATCH --array=(\S+)$", RegexOptions.Multiline).Groups[1].Value);
        StringAssert.Contains(text, "--shard \"$SLURM_ARRAY_TASK_ID/$shards\"");
    }

    private static List<object> Load(string text) => KubernetesYaml.LoadAllFromString(text, null, strict: true);

    private static string GetPath(params string[] parts) => Path.Combine([AppContext.BaseDirectory, "Samples", .. parts]);
}
