import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('knowledge', '0004_embedder_source'),
        ('releases', '0004_jobs'),
    ]

    operations = [
        migrations.AddField(
            model_name='knowledgeindex',
            name='learned_of',
            field=models.CharField(blank=True, default='', max_length=120),
        ),
        migrations.CreateModel(
            name='LearnedPhrasing',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('text', models.CharField(max_length=500)),
                ('origin', models.CharField(db_index=True, max_length=64)),
                ('faq', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='learned_phrasings', to='knowledge.faq')),
                ('version', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='learned_phrasings', to='releases.modelversion')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('version', 'faq', 'text'), name='learned_phrasing_once')],
            },
        ),
    ]
