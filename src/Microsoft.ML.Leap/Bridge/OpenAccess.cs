using System.Runtime.CompilerServices;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

[assembly: IgnoresAccessChecksTo("Microsoft.ML.Core")]

namespace System.Runtime.CompilerServices
{
    /// <summary>Known to the runtime by its name: this assembly may use what is internal to the named one.</summary>
    [AttributeUsage(AttributeTargets.Assembly, AllowMultiple = true)]
    internal sealed class IgnoresAccessChecksToAttribute(string assemblyName) : Attribute
    {
        public string AssemblyName { get; } = assemblyName;
    }
}

namespace Microsoft.ML.Leap
{
    /// <summary>What a user set on the <see cref="MLContext"/> and ML.NET keeps to itself.</summary>
    /// <param name="GpuDeviceId">The GPU asked for; <see langword="null"/> for none in particular.</param>
    /// <param name="FallbackToCpu">Whether the CPU may stand in for a GPU that is asked for and absent.</param>
    /// <param name="TempFilePath">The folder for temporary files.</param>
    internal sealed record HostSettings(int? GpuDeviceId, bool FallbackToCpu, string TempFilePath)
    {
        /// <summary>Reads the settings of an environment; defaults for one that is not ML.NET's own.</summary>
        public static HostSettings Read(IHostEnvironment environment)
        {
            ArgumentNullException.ThrowIfNull(environment);
            return environment is IHostEnvironmentInternal host
                ? new HostSettings(host.GpuDeviceId, host.FallbackToCpu, host.TempFilePath)
                : new HostSettings(null, FallbackToCpu: false, Path.GetTempPath());
        }

        /// <summary>Whether ML.NET's internal <c>MLContext.CancelExecution</c> was called while the host lived.</summary>
        public static bool IsCancelled(IHostEnvironment environment) => environment is ICancelable { IsCanceled: true };
    }

    /// <summary>Columns of a <see cref="SchemaShape"/>, which ML.NET lets only its own assemblies make.</summary>
    internal static class SchemaColumns
    {
        /// <summary>Promises a column of a type, without annotations.</summary>
        public static SchemaShape.Column Create(string name, DataViewType type)
        {
            var vector = type as VectorDataViewType;
            SchemaShape.Column.VectorKind kind = vector switch
            {
                null => SchemaShape.Column.VectorKind.Scalar,
                { IsKnownSize: true } => SchemaShape.Column.VectorKind.Vector,
                _ => SchemaShape.Column.VectorKind.VariableVector,
            };
            return new SchemaShape.Column(name, kind, vector?.ItemType ?? type, isKey: false, annotations: null);
        }
    }
}
