using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;

// Writes a copy of a reference assembly in which the listed types and members are public, so that the compiler accepts
// them. At run time the unchanged assembly is loaded, and IgnoresAccessChecksToAttribute admits the calls.
//
//   OpenAccess INPUT.dll OUTPUT.dll LIST.txt
//
// LIST has one entry per line: "Namespace.Type" opens the type, "Namespace.Type::Member" every method or field of that name
// (".ctor" for constructors), "+" separates a nested type. An entry that matches nothing is an error.

if (args.Length != 3)
{
    Console.Error.WriteLine("usage: OpenAccess INPUT.dll OUTPUT.dll LIST.txt");
    return 2;
}

byte[] image = File.ReadAllBytes(args[0]);
HashSet<string> wanted = [.. File.ReadLines(args[2]).Select(line => line.Trim()).Where(line => line.Length > 0 && line[0] != '#')];
HashSet<string> missing = [.. wanted];

using var stream = new MemoryStream(image, writable: false);
using var pe = new PEReader(stream);
MetadataReader metadata = pe.GetMetadataReader();
int start = pe.PEHeaders.MetadataStartOffset;

foreach (TypeDefinitionHandle handle in metadata.TypeDefinitions)
{
    TypeDefinition type = metadata.GetTypeDefinition(handle);
    string name = FullName(metadata, type);
    if (IsWanted(name))
    {
        TypeAttributes visibility = type.GetDeclaringType().IsNil ? TypeAttributes.Public : TypeAttributes.NestedPublic;
        uint flags = (uint)((type.Attributes & ~TypeAttributes.VisibilityMask) | visibility);
        BitConverter.TryWriteBytes(image.AsSpan(Row(TableIndex.TypeDef, handle)), flags);
    }

    foreach (MethodDefinitionHandle methodHandle in type.GetMethods())
    {
        MethodDefinition method = metadata.GetMethodDefinition(methodHandle);
        if (IsWanted($"{name}::{metadata.GetString(method.Name)}"))
        {
            // A method's row begins with its address (4 bytes) and implementation flags (2 bytes).
            ushort flags = (ushort)((method.Attributes & ~MethodAttributes.MemberAccessMask) | MethodAttributes.Public);
            BitConverter.TryWriteBytes(image.AsSpan(Row(TableIndex.MethodDef, methodHandle) + 6), flags);
        }
    }

    foreach (FieldDefinitionHandle fieldHandle in type.GetFields())
    {
        FieldDefinition field = metadata.GetFieldDefinition(fieldHandle);
        if (IsWanted($"{name}::{metadata.GetString(field.Name)}"))
        {
            ushort flags = (ushort)((field.Attributes & ~FieldAttributes.FieldAccessMask) | FieldAttributes.Public);
            BitConverter.TryWriteBytes(image.AsSpan(Row(TableIndex.Field, fieldHandle)), flags);
        }
    }
}

if (missing.Count > 0)
{
    Console.Error.WriteLine($"OpenAccess: error: {Path.GetFileName(args[0])} has no {string.Join(", ", missing.Order())}");
    return 1;
}

Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(args[1]))!);
File.WriteAllBytes(args[1], image);
return 0;

bool IsWanted(string entry)
{
    missing.Remove(entry);
    return wanted.Contains(entry);
}

int Row(TableIndex table, EntityHandle handle) =>
    start + metadata.GetTableMetadataOffset(table) + (MetadataTokens.GetRowNumber(handle) - 1) * metadata.GetTableRowSize(table);

static string FullName(MetadataReader metadata, TypeDefinition type)
{
    string name = metadata.GetString(type.Name);
    TypeDefinitionHandle declaring = type.GetDeclaringType();
    if (!declaring.IsNil)
        return $"{FullName(metadata, metadata.GetTypeDefinition(declaring))}+{name}";
    string space = metadata.GetString(type.Namespace);
    return space.Length == 0 ? name : $"{space}.{name}";
}
